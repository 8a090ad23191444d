import { cp, mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { global, text as pickledText, reduce } from '../../safetensors/tests/make-pickle.ts';
import { pthOf } from '../../safetensors/tests/make-pth.ts';
import { readAdapter, rewriteTensors } from '../../trainer/tests/run-folder.ts';
import { type Finished, type ProgramOptions, runProgram } from './run-program.ts';

interface Fault {
  readonly name: string;
  /** What is done to a folder in which training works. */
  readonly change?: (folder: string) => Promise<unknown>;
  /** Options behind `train --config_file config.toml`; default: the model's sizes too. */
  readonly options?: readonly string[];
  readonly code: 1 | 2;
  /** What the message says: where, what, and what to do. */
  readonly says: readonly (string | RegExp)[];
  /** Files in the output folder afterwards; default none. */
  readonly left?: readonly string[];
}

const sizes = ['--model_config', 'model.json'];
const cached = 'cache/b/jar_0512x0384_wan.safetensors';
const text = 'cache/b/jar_wan_te.safetensors';
/** Each batch a step, so that all items are reached. */
const eachBatch = [...sizes, '--gradient_accumulation_steps', '1', '--max_train_steps', '50'];
const log = 'my_lora.log.jsonl';
/** Written when a run begins. */
const settings = 'my_lora.config.toml';

const faults: readonly Fault[] = [
  {
    name: 'a checkpoint that is not there',
    options: [...sizes, '--dit', 'gone.safetensors'],
    code: 2,
    says: ['dit = "gone.safetensors"', 'does not exist', 'Check the path.'],
  },
  {
    name: 'a checkpoint that was cut off',
    change: (folder) => truncate(join(folder, 'dit.safetensors'), 300_000),
    code: 2,
    says: [/dit = "dit.safetensors": the file has 300000 bytes, .* are missing/, 'download or copy it again'],
  },
  {
    name: 'a PyTorch file that was cut off',
    change: (folder) =>
      writeFile(join(folder, 'model.pth'), Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(64)])),
    options: [...sizes, '--dit', 'model.pth'],
    code: 2,
    says: ['dit = "model.pth"', 'the archive has no end record', 'download or copy it again'],
  },
  {
    name: 'a PyTorch file that wants to run a program',
    change: (folder) => writeFile(join(folder, 'model.pth'), pthOf(reduce(global('os', 'system'), pickledText('id')))),
    options: [...sizes, '--dit', 'model.pth'],
    code: 2,
    says: ['dit = "model.pth"', 'wants "os.system"', 'Nothing was executed', 'torch.save(model.state_dict(), path)'],
  },
  {
    name: 'a checkpoint that lacks tensors and has others',
    change: (folder) =>
      rewrite(join(folder, 'dit.safetensors'), ({ name, ...tensor }) => {
        if (name.endsWith('blocks.1.ffn.0.bias')) return null;
        return { ...tensor, name: name.replace('blocks.1.ffn.2.bias', 'blocks.1.ffn.2.biass') };
      }),
    code: 2,
    says: ['dit = "dit.safetensors"', /2 missing: .*blocks[.]1[.]ffn[.]0[.]bias/, /1 unexpected: .*biass \(nearest: /],
  },
  {
    name: 'a LoRA for a checkpoint',
    options: [...sizes, '--dit', 'my_lora.safetensors'],
    code: 2,
    says: ['dit = "my_lora.safetensors"', 'a LoRA adapter, not a model', '--network_weights'],
  },
  {
    name: 'a checkpoint of an unpublished size without its number of heads',
    change: (folder) => rm(join(folder, 'model.json')),
    options: [],
    code: 2,
    says: ['dit = "dit.safetensors"', 'number of attention heads', 'Give --model_config with num_heads.'],
  },
  {
    name: 'a dataset configuration that is not there',
    options: [...sizes, '--dataset_config', 'gone.toml'],
    code: 2,
    says: ['gone.toml does not exist', 'Correct the path'],
  },
  {
    name: 'a wrong key in the dataset configuration',
    change: (folder) =>
      writeFile(join(folder, 'dataset.toml'), '[[datasets]]\ncache_directory = "cache/a"\nbatchsize = 2\n'),
    code: 2,
    says: ['dataset.toml', 'batchsize', 'batch_size'],
  },
  {
    name: 'empty cache folders',
    change: async (folder) => {
      await rm(join(folder, 'cache'), { recursive: true });
      await mkdir(join(folder, 'cache', 'a'), { recursive: true });
    },
    code: 2,
    says: [
      'nothing to train on',
      '"cache/a": no latent cache',
      '"cache/b", which does not exist',
      'correct cache_directory',
    ],
  },
  {
    name: 'a cache that was cut off',
    change: (folder) => truncate(join(folder, text), 400),
    options: eachBatch,
    code: 1,
    says: [/The cache .*jar_wan_te[.]safetensors cannot be read/, 'was cut off', 'make the cache again'],
    left: ['my_lora-step00000002.safetensors', settings, log],
  },
  {
    name: 'NaN in a cache of latents',
    change: (folder) => rewrite(join(folder, cached), (tensor) => ({ ...tensor, data: withNaN(tensor.data) })),
    options: eachBatch,
    code: 1,
    says: [/jar_0512x0384_wan[.]safetensors: element 3 of latents_\S+ is NaN/, 'make the cache again'],
    left: ['my_lora-step00000002.safetensors', settings, log],
  },
  {
    name: 'text embeddings of another model',
    change: (folder) =>
      rewrite(join(folder, text), ({ shape, data, ...tensor }) => {
        return { ...tensor, shape: [shape[0] ?? 0, 8], data: data.slice(0, (shape[0] ?? 0) * 8) };
      }),
    options: eachBatch,
    code: 1,
    says: [
      /text embedding \d is \[\d+, 8\], expected \[0…512, 32\]/,
      'jar_wan_te.safetensors',
      'Make the caches again',
    ],
    left: ['my_lora-step00000002.safetensors', settings, log],
  },
  {
    name: 'an output folder that is a file',
    options: [...sizes, '--output_dir', 'config.toml'],
    code: 2,
    says: ['output_dir = "config.toml"', 'a file has this name', 'Choose a folder'],
  },
  ...(process.platform === 'linux' ? [unmakable()] : []),
  {
    name: 'a folder where the result should go',
    change: (folder) => mkdir(join(folder, 'output', 'my_lora.safetensors'), { recursive: true }),
    code: 2,
    says: ['my_lora.safetensors, the file to save, is a folder', 'Choose another output_name.'],
    left: ['my_lora.safetensors'],
  },
  {
    name: 'an output name with a folder',
    options: [...sizes, '--output_name', 'loras/mine'],
    code: 2,
    says: ['--output_name loras/mine', 'without folders', 'Put the folder in output_dir.'],
  },
  {
    name: 'an option that is misspelt and one of the wrong type',
    options: [...sizes, '--lerning_rate', '1e-4', '--network_dim', 'four'],
    code: 2,
    says: ['2 problems', 'Did you mean "--learning_rate"?', '--network_dim four: expected a whole number'],
  },
  {
    name: 'a misspelt option in the configuration file',
    change: async (folder) => {
      const file = join(folder, 'config.toml');
      await writeFile(file, (await readFile(file, 'utf8')).replace('max_grad_norm', 'max_grad_normm'));
    },
    code: 2,
    says: ['config.toml', 'max_grad_normm', 'Did you mean "max_grad_norm"?'],
  },
  {
    name: 'an unknown optimizer',
    options: [...sizes, '--optimizer_type', 'AdamV'],
    code: 2,
    says: ['optimizer_type = "AdamV"', 'Did you mean "AdamW"?'],
  },
  {
    name: 'an adapter of another rank to start from',
    options: [...sizes, '--network_weights', 'my_lora.safetensors', '--network_dim', '8'],
    code: 2,
    says: [/has rank \d+, network_dim is 8/, /Set network_dim = \d+, or dim_from_weights/],
  },
  {
    name: 'an adapter of another model as base_weights',
    change: (folder) =>
      rewrite(join(folder, 'my_lora.safetensors'), ({ name, ...tensor }) => {
        return { ...tensor, name: name.replace('blocks_0_', 'blocks_7_') };
      }),
    options: [...sizes, '--base_weights', 'my_lora.safetensors'],
    code: 2,
    says: [
      'base_weights = "my_lora.safetensors"',
      'has no layer for lora_unet_blocks_7',
      'an adapter of the same model',
    ],
  },
  {
    name: 'a learning rate at which the loss is no number any more',
    options: [...sizes, '--learning_rate', '1e30'],
    code: 1,
    says: [/The loss is (NaN|Infinity) at step 3, in the batch of \w+/, 'Lower --learning_rate'],
    left: ['my_lora-step00000001.safetensors', settings, log],
  },
];

/** Node's `mkdir` with `recursive` never returns there. */
function unmakable(): Fault {
  return {
    name: 'an output folder in a place that holds none',
    options: [...sizes, '--output_dir', '/proc/loras/mine'],
    code: 2,
    says: ['output_dir = "/proc/loras/mine"', 'this place can hold no folders', 'Choose a folder'],
  };
}

/** The repository's own, whatever other golden vectors are tested: the faults are made for its items. */
const recordedRun = fileURLToPath(new URL('../../../golden/runs/wan_t2v', import.meta.url));

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

describe.concurrent('training', { timeout: 120_000 }, () => {
  test.each(faults)('refuses $name', async ({ change, options = sizes, code, says, left = [] }) => {
    const folder = await makeFolder();
    await change?.(folder);
    const finished = await train(folder, options);

    const block = finished.stderr.slice(finished.stderr.indexOf('error: '));
    for (const part of says) expect(block).toMatch(part);
    expect(finished.stderr.match(/^error: /gm)).toHaveLength(1);
    expect(finished.stderr).not.toMatch(/^\s+at |internal:|node:internal/m);
    expect(finished.stdout).toBe('');
    expect(finished.code).toBe(code);
    expect(await listOutput(folder)).toEqual(left);
    for (const file of left.filter((name) => name.includes('-step'))) await readAdapter(join(folder, 'output', file));
  });

  // Windows has no SIGINT between processes: kill ends the child there.
  test.runIf(process.platform !== 'win32')('ends after its step at the first Ctrl-C', async () => {
    const folder = await makeFolder();
    const options = [...eachBatch, '--max_train_steps', '1000000'];
    const { code, stdout, stderr } = await train(folder, options, {
      interruptions: [{ after: 'epoch 1/' }],
    });
    const [, file, steps] = /^Interrupted; saved (.*) after (\d+) steps?\.\n$/.exec(stdout) ?? [];
    expect(stderr).toContain('Stopping after this step, then saving.');
    expect(code).toBe(130);
    expect(file).toBe(join('output', `my_lora-step${steps?.padStart(8, '0')}.safetensors`));
    expect(await listOutput(folder)).toEqual([`my_lora-step${steps?.padStart(8, '0')}.safetensors`, settings, log]);
    await readAdapter(join(folder, file ?? ''));
    const last = (await readFile(join(folder, 'output', log), 'utf8')).trimEnd().split('\n').at(-1);
    expect(JSON.parse(last ?? '')).toMatchObject({ event: 'interrupted', step: Number(steps) });
  });

  // As above.
  test.runIf(process.platform !== 'win32')('ends at once at the second, and saves nothing', async () => {
    const folder = await makeFolder();
    // One step takes all batches of an epoch, a thousand times each.
    const dataset = await readFile(join(folder, 'dataset.toml'), 'utf8');
    await writeFile(
      join(folder, 'dataset.toml'),
      dataset.replaceAll('[[datasets]]', '[[datasets]]\nnum_repeats = 1000').replace(/num_repeats = 2\n/g, ''),
    );
    const options = [...sizes, '--gradient_accumulation_steps', '100000'];
    const interruptions = [{ after: 'epoch 1/' }, { after: 'Stopping after this step' }];
    const { signal, stdout, endedAfterMs } = await train(folder, options, { interruptions });
    expect(signal).toBe('SIGINT');
    expect(stdout).toBe('');
    expect(endedAfterMs).toBeLessThan(2000);
    expect(await listOutput(folder)).toEqual([settings, log]);
  });

  test('goes on when nobody reads what it prints any more', async () => {
    const folder = await makeFolder();
    const { code } = await train(folder, sizes, { deafAfter: 'epoch 1/' });
    expect(code).toBe(0);
    expect(await listOutput(folder)).toEqual([
      'my_lora-step00000010.safetensors',
      settings,
      log,
      'my_lora.safetensors',
    ]);
  });
});

const train = (
  folder: string,
  options: readonly string[],
  watch: Pick<ProgramOptions, 'interruptions' | 'deafAfter'> = {},
): Promise<Finished> =>
  runProgram('../src/bin.ts', ['train', '--config_file', 'config.toml', ...options], { cwd: folder, ...watch });

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'musubi-fault-'));
  folders.push(folder);
  await cp(recordedRun, folder, { recursive: true });
  return folder;
}

/** What is in the output folder; hidden and temporary files too. */
async function listOutput(folder: string): Promise<string[]> {
  return (await readdir(join(folder, 'output')).catch(() => [])).toSorted();
}

/** Changes tensors of a file. */
const rewrite = (path: string, change: Parameters<typeof rewriteTensors>[2]) => rewriteTensors(path, path, change);

const withNaN = (values: Float32Array) => values.map((x, i) => (i === 3 ? NaN : x));
