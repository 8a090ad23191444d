import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { runHere } from './run-here.ts';

const folder = mkdtempSync(join(tmpdir(), 'musubi-mutated-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A configuration that only lacks its files. */
const good: Readonly<Record<string, string>> = {
  task: '"t2v-1.3B"',
  dit: '"absent-dit.safetensors"',
  dataset_config: '"absent-dataset.toml"',
  network_module: '"networks.lora_wan"',
  network_dim: '16',
  network_alpha: '8.0',
  optimizer_type: '"AdamW"',
  learning_rate: '1e-4',
  max_train_steps: '10',
  gradient_checkpointing: 'true',
  timestep_sampling: '"shift"',
  seed: '42',
  output_dir: '"out"',
  output_name: '"a"',
};
const names = Object.keys(good);

/** The seed of the whole test. */
const random = (() => {
  let state = 20_261_128;
  return (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
})();
const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;

interface Mutation {
  readonly kind: string;
  readonly content: string | Uint8Array;
  readonly dataset?: string | Uint8Array;
  /** A message has to name it. */
  readonly named: string;
}

const toml = (changed: Readonly<Record<string, string>>, behind = ''): string =>
  `${Object.entries({ ...good, ...changed })
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')}${behind}`;

/** Two letters change places, one is left out, or one is put in. */
function misspell(name: string): string {
  const at = 1 + random(name.length - 2);
  const written = pick([
    `${name.slice(0, at)}${name[at + 1]}${name[at]}${name.slice(at + 2)}`,
    `${name.slice(0, at)}${name.slice(at + 1)}`,
    `${name.slice(0, at)}x${name.slice(at)}`,
  ]);
  return written === name ? `${name}x` : written;
}

const wrongTypes: readonly (readonly [name: string, value: string])[] = [
  ['network_dim', '"many"'],
  ['network_dim', '1.5'],
  ['learning_rate', 'true'],
  ['learning_rate', '[1]'],
  ['learning_rate', '"fast"'],
  ['max_train_steps', '"10"'],
  ['max_train_steps', '1979-05-27'],
  ['gradient_checkpointing', '"yes"'],
  ['gradient_checkpointing', '1'],
  ['seed', '1.0'],
  ['seed', '-1'],
  ['output_name', '7'],
  ['task', '"t2v-2B"'],
  ['timestep_sampling', '"shfit"'],
  ['network_args', '"a=1"'],
  ['network_args', '[1]'],
  ['optimizer_args', '["betas=(0.9"]'],
  ['lr_warmup_steps', '"half"'],
];

const conflicts: readonly (readonly [changed: Readonly<Record<string, string>>, named: string])[] = [
  [{ min_timestep: '900', max_timestep: '100' }, 'min_timestep'],
  [{ log_with: '"tensorboard"' }, 'log_with'],
  [{ dim_from_weights: 'true' }, 'dim_from_weights'],
  [{ base_weights_multiplier: '[1.0]' }, 'base_weights_multiplier'],
  [{ blocks_to_swap: '400' }, 'blocks_to_swap'],
  [{ block_swap_h2d_only: 'true', blocks_to_swap: '4', gradient_checkpointing: 'false' }, 'block_swap_h2d_only'],
  [{ gradient_checkpointing_every: '2', gradient_checkpointing: 'false' }, 'gradient_checkpointing_every'],
  [{ dit_high_noise: '"h.safetensors"' }, 'dit_high_noise'],
  [{ fp8_scaled: 'true' }, 'fp8_scaled'],
  [{ sage_attn: 'true' }, 'sage_attn'],
  [{ output_name: '"a/b"' }, 'output_name'],
];

const datasets: readonly (readonly [text: string, named: string])[] = [
  ['[general]\nresolutoin = [64, 64]\n[[datasets]]\nimage_directory = "i"\n', 'resolutoin'],
  ['[general]\nresolution = "big"\n[[datasets]]\nimage_directory = "i"\ncaption_extension = ".txt"\n', 'resolution'],
  ['[[datasets]]\nimage_directory = 7\n', 'image_directory'],
  ['[[datasets]]\nimage_directory = "i"\nbatch_size = "two"\n', 'batch_size'],
  ['[[datasets]\n', 'line 1'],
  ['datasets = 3\n', 'datasets'],
];

/** A dataset configuration that only lacks its pictures. */
const goodDataset: Readonly<Record<string, string>> = {
  resolution: '[64, 64]',
  caption_extension: '".txt"',
  batch_size: '1',
  num_repeats: '2',
  enable_bucket: 'true',
  bucket_no_upscale: 'false',
};
const datasetToml = (general: Readonly<Record<string, string>>, behind = ''): string =>
  `[general]\n${Object.entries(general)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')}\n[[datasets]]\nimage_directory = "absent"\n${behind}`;

const wrongDatasetValues = ['true', '"two"', '1.5', '-1', '[]', '[1, 2, 3]', '1979-05-27', '{ a = 1 }'];
/** Of these values, those that an option takes. */
const taken: Readonly<Record<string, readonly string[]>> = {
  caption_extension: ['"two"'],
  enable_bucket: ['true'],
  bucket_no_upscale: ['true'],
  // The original takes it too, and has nothing to train on then.
  num_repeats: ['-1'],
};

/** A misspelt key with the nearest name, a wrong type, or a key given twice; named with its line. */
function datasetMutation(index: number): { readonly text: string; readonly named: string } {
  const keys = Object.keys(goodDataset);
  const name = pick(keys);
  const line = `line ${keys.indexOf(name) + 2}`;
  switch (index % 3) {
    case 0: {
      const written = misspell(name);
      const renamed = Object.entries(goodDataset).map(([key, value]) => [key === name ? written : key, value]);
      return {
        text: datasetToml(Object.fromEntries(renamed)),
        named: `${line}: general.${written} is not an option here. Did you mean "${name}"?`,
      };
    }
    case 1: {
      const value = pick(wrongDatasetValues.filter((one) => !taken[name]?.includes(one)));
      return { text: datasetToml({ ...goodDataset, [name]: value }), named: `${line}: general.${name}` };
    }
    default:
      return {
        text: datasetToml(goodDataset, `num_repeats = 1\n${name} = ${goodDataset[name]}\n${name} = 7\n`),
        named: 'line ',
      };
  }
}

function mutation(index: number): Mutation {
  switch (index % 10) {
    case 0:
    case 1: {
      const name = pick(names);
      const written = misspell(name);
      const { [name]: value = '', ...rest } = good;
      const lines = Object.entries({ ...rest, [written]: value }).map(([key, text]) => `${key} = ${text}`);
      return { kind: 'misspelt', content: lines.join('\n'), named: written };
    }
    case 2:
    case 3: {
      const [name, value] = pick(wrongTypes);
      return { kind: 'wrong type', content: toml({ [name]: value }), named: name };
    }
    case 4: {
      const name = pick(['dit', 'dataset_config', 'network_module', 'optimizer_type', 'output_dir', 'output_name']);
      const { [name]: _, ...rest } = good;
      const lines = Object.entries(rest).map(([key, text]) => `${key} = ${text}`);
      return { kind: 'missing key', content: lines.join('\n'), named: name };
    }
    case 5: {
      const [changed, named] = pick(conflicts);
      return { kind: 'conflict', content: toml(changed), named };
    }
    case 6: {
      const broken = pick([
        '[section',
        'a = ',
        'a b = 1',
        'x = "open',
        '= 3',
        'seed = 1\nseed = 2',
        'p = "C:\\models"',
      ]);
      return { kind: 'broken TOML', content: `${broken}\n${toml({})}`, named: 'line ' };
    }
    case 7: {
      const bytes = Uint8Array.from({ length: 1 + random(5000) }, () => random(256));
      return { kind: 'binary', content: bytes, named: '.toml' };
    }
    case 8: {
      const name = pick(names);
      const behind = pick([`[other]\n${name} = ${good[name]}\n`, `[x]\n[x.${name}]\na = 1\n`]);
      return { kind: 'twice', content: toml({}, behind), named: name };
    }
    default: {
      const [dataset, named] = pick(datasets);
      return { kind: 'dataset', content: toml({ dataset_config: '"DATASET"' }), dataset, named };
    }
  }
}

const huge: Mutation = { kind: 'huge', content: `${'# x\n'.repeat(1_000_000)}nonsense = 1\n`, named: 'nonsense' };
const ofDatasets = Array.from({ length: 60 }, (_, index): Mutation => {
  const { text, named } = datasetMutation(index);
  return { kind: 'dataset', content: toml({ dataset_config: '"DATASET"' }), dataset: text, named };
});
const mutations = [...Array.from({ length: 199 }, (_, index) => mutation(index)), huge, ...ofDatasets];

test.each(mutations.map((one, index) => ({ ...one, index })))(
  '$index $kind names $named',
  async ({ content, dataset, named, index }) => {
    const home = join(folder, String(index));
    mkdirSync(home);
    const path = join(home, 'c.toml');
    const datasetPath = join(home, 'd.toml');
    writeFileSync(
      path,
      typeof content === 'string' ? content.replace('"DATASET"', JSON.stringify(datasetPath)) : content,
    );
    if (dataset !== undefined) writeFileSync(datasetPath, dataset);
    const { code, stdout, stderr } = await runHere(['train', '--config_file', path]);
    expect(stdout).toBe('');
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(named) });
    expect(stderr).toMatch(/^error: /);
    expect(stderr).not.toMatch(/^ +at |internal:|undefined|\[object/m);
    expect(stderr.length).toBeLessThan(5000);
  },
);
