import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { findCommand, readLaunchLine, splitCommandLine } from '@musubi/config';

import { writeAsPth } from '../../trainer/tests/write-pth.ts';
import { oldCommandLines } from './old-command-lines.ts';
import { runHere } from './run-here.ts';
import { makeSmallProject, type SmallProject } from './small-project.ts';

const taskOf = (line: string) => findCommand(readLaunchLine(splitCommandLine(line)).command ?? '');
const lines = oldCommandLines.filter((line) => {
  const command = taskOf(line);
  return command?.support.state === 'works' && /^train$|^cache /.test(command.task ?? '');
});

/** What the files named by an option are in the small project. */
const sources: Readonly<Record<string, string>> = {
  dit: 'wan.safetensors',
  dit_high_noise: 'wan.safetensors',
  vae: 'vae.safetensors',
  t5: 'umt5.safetensors',
};

const dataset = `[general]
resolution = [80, 64]
caption_extension = ".txt"
batch_size = 1

[[datasets]]
image_directory = "images"
cache_directory = "cache"
`;
const runToml = `task = "t2v-1.3B"
dit = "wan.safetensors"
dataset_config = "d.toml"
optimizer_type = "AdamW"
network_module = "networks.lora_wan"
output_dir = "out"
output_name = "a"
`;

let project: SmallProject;
const before = process.cwd();
beforeAll(async () => {
  project = await makeSmallProject('musubi-old-lines-');
  process.chdir(project.folder);
  writeFileSync('d.toml', dataset);
  writeFileSync('run.toml', runToml);
  expect(await runHere(['wan_cache_latents', '--dataset_config', 'd.toml', '--vae', 'vae.safetensors'])).toMatchObject({
    code: 0,
  });
  const texts = ['--dataset_config', 'd.toml', '--t5', 'umt5.safetensors', '--tokenizer', 'tokenizer'];
  expect(await runHere(['wan_cache_text_encoder_outputs', ...texts])).toMatchObject({ code: 0 });
});
afterAll(() => {
  process.chdir(before);
  project.remove();
});

/** Puts small files where the words of a command line have theirs. */
async function placeFiles(words: readonly string[]): Promise<void> {
  for (const [i, word] of words.entries()) {
    const path = words[i + 1] ?? '';
    const option = word.slice(2);
    const source = sources[option];
    if (option === 'dataset_config' && !existsSync(path)) place(path, (to) => writeFileSync(to, dataset));
    if (source === undefined) continue;
    place(path, (to) => cpSync(source, to));
    if (path.endsWith('.pth')) await writeAsPth(source, path);
  }
}

function place(path: string, write: (path: string) => void): void {
  mkdirSync(dirname(path), { recursive: true });
  write(path);
}

/**
 * The words of a line for the small project: one epoch, the small model's number of heads, which a `.pth` cannot tell, its
 * tokenizer, and separators of this system in paths.
 */
function adapted(line: string): readonly string[] {
  const words = splitCommandLine(line).map((word) =>
    /^[\w.]+(?:\\[\w.]+)+$/.test(word) ? join(...word.split('\\')) : word,
  );
  switch (taskOf(line)?.task) {
    case 'train':
      return [...words, '--max_train_epochs', '1', '--model_config', '{"num_heads": 2}'];
    case 'cache text':
      return [...words, '--tokenizer', 'tokenizer'];
    default:
      return words;
  }
}

test('training and both kinds of caching are among them', () => {
  expect(new Set(lines.map((line) => taskOf(line)?.task))).toEqual(new Set(['train', 'cache latents', 'cache text']));
});

test.each(lines)(
  'runs: %s',
  async (line) => {
    for (const folder of ['out', 'logs']) rmSync(folder, { recursive: true, force: true });
    const words = adapted(line);
    await placeFiles(words);
    const { code, stdout, stderr } = await runHere(words);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    if (line.includes('--show_timesteps')) return expect(stdout).toContain('Sampled timesteps: ');
    if (line.includes('--debug_mode')) return expect(stdout.split('\n').length).toBeGreaterThan(10);
    if (taskOf(line)?.task !== 'train') {
      return expect(stdout).toMatch(
        line.includes('--skip_existing') ? /^Done: 0 caches written, 3 kept/ : /^Done: 3 caches written/,
      );
    }
    const name = line.includes('--output_name cats') ? 'cats' : 'a';
    expect(stdout).toBe(`Saved ${join('out', `${name}.safetensors`)} after 3 steps.\n`);
    expect(readdirSync('out')).toEqual(expect.arrayContaining([`${name}.safetensors`, `${name}.config.toml`]));
    expect(existsSync('logs')).toBe(line.includes('--logging_dir logs'));
  },
  120_000,
);
