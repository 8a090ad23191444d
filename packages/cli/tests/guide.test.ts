import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import {
  graphOptimizationTable,
  pythonText,
  readLaunchLine,
  resolveCommand,
  resolveOptions,
  splitCommandLine,
} from '@musubi/config';
import { parseDatasetConfig, readDatasetConfig } from '@musubi/dataset';
import * as trainer from '@musubi/trainer/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { commandsOf, fileNameOf, guides, pictureCommands, readBlocks, readGuide } from '../../../scripts/lib/guide.mjs';
import { pictureDifference } from '../../../scripts/lib/picture-difference.mjs';
import { selectTargets } from '../../lora/src/index.ts';
import { wan } from '../../models/src/index.ts';
import { optimizers } from '../../optimizers/src/index.ts';
import { samplerNames } from '../../samplers/src/index.ts';
import { scheduleNames } from '../../schedulers/src/index.ts';
import { startWandbServer, testKey, type WandbServer } from '../../tracking/tests/wandb-server.ts';
import { processContext, type CliContext } from '../src/context.ts';
import { runCli } from '../src/index.ts';
import { writeSmallFolder } from './small-folder.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const [english = '', ...translations] = guides;
const blocks = readBlocks(english);
const wholeFile = (name: string): string => blocks.find((block) => fileNameOf(block) === name)?.code ?? '';
const pictures = new Map(pictureCommands(english).map(({ command, picture }) => [command, picture]));

/** A block for small pictures and short runs: a hundredth of the steps. */
function small(text: string): string {
  return text
    .replaceAll('[960, 544]', '[80, 64]')
    .replaceAll('960,544', '80,64')
    .replaceAll(/(steps = )(\d+)00\b/g, '$1$2')
    .replaceAll(/-step0000(\d{2})00/g, '-step000000$1')
    .replaceAll(/(epochs )16\b/g, '$11');
}

/** What the program gets of a command line; a shell takes the rest. */
function words(line: string): readonly string[] {
  expect(line).toMatch(/^npx @musubi\/cli /);
  return splitCommandLine(line.replace('npx @musubi/cli ', ''));
}

const readText: CliContext['readText'] = processContext().readText;

describe('each block, in order, in one folder', () => {
  const before = process.cwd();
  let folder = '';
  let server: WandbServer;
  let count = 0;

  beforeAll(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'musubi-guide-')));
    server = await startWandbServer();
    const models = ['wan2.1_t2v_1.3B_bf16', 'wan2.2_t2v_low_noise_14B_fp16', 'wan2.2_t2v_high_noise_14B_fp16'];
    await writeSmallFolder(folder, {
      images: 'pictures',
      transformers: models.map((name) => `${name}.safetensors`),
      vae: 'Wan2.1_VAE.pth',
      textEncoder: 'models_t5_umt5-xxl-enc-bf16.pth',
    });
    process.chdir(folder);
    writeFileSync('whole.toml', wholeFile('config.toml'));
  });
  afterAll(async () => {
    process.chdir(before);
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs a command line in this process; returns what it prints, its exit code has to be 0. */
  async function run(argv: readonly string[]): Promise<string> {
    let [stdout, stderr] = ['', ''];
    const code = await runCli(argv, {
      ...processContext(),
      stdout: { write: (text: string) => (stdout += text) },
      stderr: { write: (text: string) => (stderr += text) },
      environment: { WANDB_API_KEY: testKey, WANDB_BASE_URL: server.url },
      loadTrainer: async () => trainer,
      onInterrupt: () => () => {},
    });
    expect(code, `${argv.join(' ')}\n${stdout}${stderr}`).toBe(0);
    return stdout;
  }

  async function runLine(line: string): Promise<void> {
    const picture = pictures.get(line);
    if (picture === undefined) {
      await run(words(small(line)));
      return;
    }
    // With the steps that the guide has.
    const printed = await run(words(line.replace('config.toml', 'whole.toml')));
    expect(printed).toBe(`${join('output', picture)}\n`);
    const difference = await pictureDifference(join('output', picture), join(root, 'docs', 'images', picture));
    expect(difference, `docs/images/${picture}: run node scripts/guide-pictures.mjs`).toBeLessThan(0.002);
  }

  /** An addition to config.toml, as a file of its own; what it leaves alone of that one stands on the command line. */
  async function trainWith(addition: string): Promise<void> {
    const name = `addition-${++count}.toml`;
    writeFileSync(name, small(addition));
    const added = [...addition.matchAll(/^(\w+) = /gm)].map(([, key]) => key);
    const { options } = await resolveOptions({ command: 'train', argv: ['--config_file', 'config.toml'], readText });
    const rest = [...options]
      .filter(([key, { origin }]) => origin.source === 'file' && !added.includes(key) && key !== 'output_name')
      .flatMap(([key, { value }]) => (value.type === 'bool' ? [`--${key}`] : [`--${key}`, pythonText(value)]));
    await run(['train', '--config_file', name, '--output_name', `addition-${count}`, ...rest]);
    expect(existsSync(join('output', `addition-${count}.safetensors`))).toBe(true);
  }

  test.each(blocks.filter(({ language }) => language !== 'ts'))(
    `${english}, line $line`,
    async (block) => {
      const name = fileNameOf(block);
      if (block.language === 'sh') for (const line of commandsOf(block)) await runLine(line);
      else if (name === null) await trainWith(block.code);
      else writeWholeFile(name, block.code);
    },
    600_000,
  );

  test('runs for wandb reached it', () => {
    expect(server.runs.size).toBeGreaterThan(0);
  });

  // Pictures and steps are small above; here they are as they stand there.
  test.each(blocks.filter(({ language }) => language === 'sh').flatMap(commandsOf))(
    'as it stands: %s',
    async (line) => {
      const { command = '', argv } = readLaunchLine(words(line.replace('run -- ', '')));
      if (['init', 'validate', 'doctor', 'estimate', 'wandb'].includes(command) || argv.includes('--help')) return;
      const options = argv.filter((word) => word !== '--print_config');
      writeFileSync('config.toml', wholeFile('config.toml'));
      await expect(resolveCommand({ command, argv: options, readText })).resolves.toMatchObject({ problems: [] });
    },
  );
});

test('another distribution is another picture', async () => {
  const [shift = '', logsnr = '', hybrid = ''] = ['shift', 'logsnr', 'qinglong'].map((name) =>
    join(root, 'docs', 'images', `${name}-timesteps.png`),
  );
  expect(await pictureDifference(shift, shift)).toBe(0);
  expect(await pictureDifference(logsnr, hybrid)).toBeGreaterThan(0.02);
});

test('blocks are written in the languages that are checked', () => {
  expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(['toml', 'sh', 'ts']));
  expect(blocks.length).toBeGreaterThan(30);
});

test.each(translations)('%s has the blocks, pictures and indented lines of the English one', (file) => {
  expect(codes(file)).toEqual(codes(english));
  for (const pattern of [/^ {4}\S.*$/gm, /\]\(images\/[^)]*\)/g, /^#+ /gm]) {
    expect(lines(file, pattern)).toEqual(lines(english, pattern));
  }
});

describe.each(guides)('%s', (file) => {
  const text = readGuide(file);
  const rows = text.split('\n').filter((line) => line.startsWith('| '));

  test('its links lead somewhere', () => {
    const titles = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => slug(title));
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target.startsWith('#')) expect(titles).toContain(target.slice(1));
      else expect(existsSync(join(root, dirname(file), target)), target).toBe(true);
    }
  });

  test('its table about compiling is that of the program', () => {
    const found = rows.map(cells).filter(([option]) => /^`(?:dynamo|compile)/.test(option ?? ''));
    const values = found.map(([option, value]) => [option, value?.includes('`') ? value : null]);
    expect(values).toEqual(graphOptimizationTable.map(([option, value]) => [asCode(option), asCode(value)]));
    if (file !== english) return;
    expect(found.map(([, , here]) => here)).toEqual(graphOptimizationTable.map(([, , meaning]) => meaning));
  });

  test('it names every sampler, schedule and optimizer', () => {
    for (const name of [...samplerNames, ...scheduleNames]) expect(text).toContain(`\`${name}\``);
    for (const { names } of optimizers)
      expect(
        names.some((name) => text.includes(`\`${name}\``)),
        names[0],
      ).toBe(true);
  });

  test('its examples of target layers choose as many as it says', async () => {
    const examples = rows.map(cells).filter((row) => row.length === 4 && /^\d+$/.test(row[2] ?? ''));
    expect(examples).toHaveLength(5);
    for (const [, written = '', ...counts] of examples) {
      const args = written === '' ? [] : ['--network_args', ...splitCommandLine(written.replaceAll('`', '"'))];
      const required = { dataset_config: 'd', dit: 'd', network_module: 'networks.lora_wan', optimizer_type: 'AdamW' };
      const given = Object.entries({ ...required, output_dir: 'o', output_name: 'o' }).flatMap(([k, v]) => [
        `--${k}`,
        v,
      ]);
      const { config } = await resolveOptions({ command: 'train', argv: [...given, ...args], readText });
      expect(counts.map(Number)).toEqual([1536, 5120].map((width) => countTargets(width, config)));
    }
  });
});

function writeWholeFile(name: string, code: string): void {
  writeFileSync(name, small(code));
  if (name !== 'dataset.toml') return;
  for (const text of [code, small(code)]) {
    expect(readDatasetConfig(parseDatasetConfig(text, name), 'wan').length).toBeGreaterThan(0);
  }
}

/** The cells of a row of a table. */
function cells(row: string): readonly string[] {
  return row
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** The anchor of a heading. */
function slug(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

/** Names as the guide writes them; null for words such as `any other`, which it translates. */
function asCode(names: string): string | null {
  if (/^any\b/.test(names)) return null;
  return names
    .split(', ')
    .map((name) => `\`${name}\``)
    .join(', ');
}

/** The blocks of a guide without their places. */
function codes(file: string): readonly (readonly [language: string, code: string])[] {
  return readBlocks(file).map(({ language, code }) => [language, code]);
}

function lines(file: string, pattern: RegExp): readonly string[] {
  return [...readGuide(file).matchAll(pattern)].map(([line]) => line);
}

function countTargets(
  width: number,
  {
    excludePatterns,
    includePatterns,
  }: { readonly excludePatterns: readonly string[] | null; readonly includePatterns: readonly string[] | null },
): number {
  const layers = width === 1536 ? 30 : 40;
  const sizes = { channels: 16, textWidth: 4096, timeWidth: 256, textLength: 512, eps: 1e-6 };
  const config = { ...sizes, width, ffnWidth: 4 * width, heads: width / 128, layers };
  const { lora } = wan;
  const rules = { blockClasses: [lora.targetClass], exclude: lora.defaultExcludePatterns };
  return selectTargets(lora.modules(config), rules, { exclude: excludePatterns, include: includePatterns }).length;
}
