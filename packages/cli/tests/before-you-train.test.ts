import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { runProgram } from './run-program.ts';
import { makeSmallProject, type SmallProject } from './small-project.ts';

// The way of a user: init, caches, validate, train, on pictures and small models with random weights.
let project: SmallProject;
beforeAll(async () => {
  project = await makeSmallProject('musubi-before-');
});
afterAll(() => project.remove());

const musubi = (...argv: string[]) => runProgram('../src/bin.ts', argv, { cwd: project.folder });

test('init, caches, validate, train', async () => {
  const given = ['--dit', 'wan.safetensors', '--images', 'images', '--resolution', '80,64', '--max_train_epochs', '1'];
  const made = await musubi('init', ...given, '--vae', 'vae.safetensors', '--t5', 'umt5.safetensors', '--yes');
  expect(made.stderr).toBe('3 pictures with a caption in images\n');
  expect(made.code).toBe(0);

  const early = await musubi('validate', '--config_file', 'config.toml');
  expect(early.stdout).toContain('error: config.toml, line 12: There is nothing to train on');
  expect(early.code).toBe(2);

  const estimated = await musubi('estimate', '--config_file', 'config.toml', '--json');
  expect(estimated.code).toBe(0);
  expect(JSON.parse(estimated.stdout)).toMatchObject({
    source: 'pictures',
    buckets: [{ width: 80, height: 64, batchesPerEpoch: 3 }],
  });

  const caching = ['--architecture', 'wan', '--dataset_config', 'dataset.toml'];
  const latents = ['cache_latents', ...caching, '--vae', 'vae.safetensors'];
  const texts = ['cache_text_encoder_outputs', ...caching, '--t5', 'umt5.safetensors', '--tokenizer', 'tokenizer'];
  writeFileSync(join(project.folder, 'images', 'none.png'), 'no picture');
  writeFileSync(join(project.folder, 'images', 'none.txt'), 'none');
  const unreadable = await musubi('validate', ...latents);
  expect(unreadable.stdout).toMatch(/none[.]png/);
  expect(unreadable.code).toBe(2);
  for (const name of ['none.png', 'none.txt']) rmSync(join(project.folder, 'images', name));

  for (const command of [latents, texts]) {
    const looked = await musubi('validate', ...command);
    expect([looked.stdout, looked.code]).toEqual(['Nothing is wrong.\n', 0]);
    const { stdout, code } = await musubi(...command);
    expect([stdout, code]).toEqual(['Done: 3 caches written.\n', 0]);
  }

  const { stdout, code } = await musubi('validate', '--config_file', 'config.toml', '--json');
  expect(JSON.parse(stdout)).toEqual({ ok: true, command: 'train', findings: [] });
  expect(code).toBe(0);

  const training = await musubi('train', '--config_file', 'config.toml');
  expect(training.stdout).toBe(`Saved ${join('output', 'my_lora.safetensors')} after 3 steps.\n`);
  expect(training.code).toBe(0);
  expect(readdirSync(join(project.folder, 'output'))).toContain('my_lora.safetensors');
  const losses = readFileSync(join(project.folder, 'output', 'my_lora.log.jsonl'), 'utf8').matchAll(
    /"loss\/current":([\d.]+)/g,
  );
  expect([...losses]).toHaveLength(3);
}, 600_000);
