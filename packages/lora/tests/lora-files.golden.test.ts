import { describe, expect, test } from 'vitest';
import { encodeSafetensors, fromFloat32 } from '@musubi/safetensors';
import type { SafetensorsDtype, TensorToWrite } from '@musubi/safetensors';
import { fileSource, openSafetensorsFile } from '@musubi/safetensors/node';
import { goldenPath, readGoldenJson } from '../../../tests/golden.ts';
import { hashTensors, loraFile, modelspecMetadata, readLora, savePrecision, trainingMetadata } from '../src/index.ts';
import { sameBytes } from './same-bytes.ts';

// the golden dates are local times of that zone, in which browsers for tests are started
if ('process' in globalThis) process.env['TZ'] = 'UTC';

interface Golden {
  files: { file: string; options: string[]; metadata: Record<string, string>; tensors: Record<string, object> }[];
  hash_examples: {
    name: string;
    tensors: Record<string, { dtype: string; shape: number[]; value?: number; formula?: string }>;
    metadata: Record<string, string>;
    result: {
      sshs_model_hash: string;
      sshs_legacy_hash: string;
      hashed_file_bytes: number;
      header_bytes: number;
      tensor_order_in_file: string[];
    };
  }[];
  modelspec: {
    inputs: {
      architecture: string;
      timestamp: number;
      title?: string;
      custom_arch?: string;
      reso?: string;
      author?: string;
      description?: string;
      license?: string;
      tags?: string;
      timesteps?: [number, number];
    };
    metadata?: Record<string, string>;
    error?: string;
  }[];
}

const golden = readGoldenJson<Golden>('files', 'lora_files.json');

test('there are cases of every kind', () => {
  expect(golden.files.length).toBeGreaterThan(0);
  expect(golden.hash_examples.length).toBeGreaterThan(0);
  expect(golden.modelspec.length).toBeGreaterThan(0);
});

describe.each(golden.files)('$file', ({ file, options, metadata, tensors }) => {
  const given = parseOptions(options);

  test('is written again byte for byte, its hashes computed anew', async () => {
    const store = await openSafetensorsFile(goldenPath('files', file));
    const source = await fileSource(goldenPath('files', file));
    const original = await source.read(0, source.size);
    const { sshs_model_hash, sshs_legacy_hash, ...rest } = store.metadata;

    const dtype = savePrecision(given.one('save_precision'));
    const saved = await loraFile(await readLora(store), { dtype, metadata: rest });
    expect(saved.tensors.map(({ name }) => name)).toEqual(Object.keys(tensors));
    expect(saved.metadata).toEqual(store.metadata);
    expect(saved.metadata).toMatchObject({ sshs_model_hash, sshs_legacy_hash });

    // The order of metadata keys is random in the original: taken from the file here, everything else is ours.
    const order = Object.keys(store.metadata).map((key) => [key, saved.metadata[key]!] as const);
    const bytes = await encodeSafetensors(saved.tensors, { metadata: Object.fromEntries(order) });
    expect(sameBytes(bytes, original)).toBe(true);
    await source.close();
    await store.close();
  });

  test('has the metadata that the options of its run give', () => {
    const { sshs_model_hash: _, sshs_legacy_hash: __, ...expected } = metadata;
    const recorded = (key: string) => metadata[`ss_${key}`] ?? '0'; // absent with --no_metadata
    const run = {
      options: {
        ...DEFAULTS,
        output_name: metadata['modelspec.title'] ?? '',
        ...(metadata['ss_output_name'] === undefined ? {} : { output_name: metadata['ss_output_name'] }),
        gradient_accumulation_steps: Number(given.one('gradient_accumulation_steps') ?? 1),
        max_train_steps: Number(given.one('max_train_steps') ?? recorded('max_train_steps')),
        lr_scheduler: given.one('lr_scheduler') ?? 'constant',
        lr_warmup_steps: given.one('lr_warmup_steps') ?? '0',
        network_alpha: given.float('network_alpha') ?? '1',
        training_comment: given.one('training_comment'),
      },
      sessionId: Number(recorded('session_id')),
      startedAt: Number(recorded('training_started_at')),
      numTrainItems: Number(recorded('num_train_items')),
      numBatchesPerEpoch: Number(recorded('num_batches_per_epoch')),
      numEpochs: Number(recorded('num_epochs')),
      baseModelVersion: 'wan',
      optimizer: 'torch.optim.adamw.AdamW',
      optimizerArgs: (given.all('optimizer_args') ?? []).join(',').replaceAll(/,(?=[^ ()]*\))/g, ', '),
      datasets: recorded('datasets'),
      networkArgs: keyValues(given.all('network_args')),
      sdModelName: 'dit.safetensors',
      vaeName: 'vae.safetensors',
    };
    const save = {
      finishedAt: Number(recorded('training_finished_at')),
      steps: Number(recorded('steps')),
      epoch: Number(recorded('epoch')),
    };
    const noMetadata = given.all('no_metadata') !== null;
    const ours = {
      ...trainingMetadata(run, save, { noMetadata }),
      ...modelspecMetadata({
        architecture: 'wan',
        timestamp: Date.parse(`${metadata['modelspec.date']}Z`) / 1000 + 0.5,
        title: given.one('metadata_title') ?? run.options.output_name,
        resolution: given.one('metadata_reso'),
        author: given.one('metadata_author'),
        description: given.one('metadata_description'),
        license: given.one('metadata_license'),
        tags: given.one('metadata_tags'),
        minTimestep: given.number('min_timestep'),
        maxTimestep: given.number('max_timestep'),
      }),
    };
    expect(ours).toEqual(expected);
  });
});

describe.each(golden.hash_examples)('hashes of $name', ({ tensors, metadata, result }) => {
  test('are those of the original', async () => {
    const given = Object.entries(tensors).map(([name, tensor]) => makeTensor(name, tensor));
    const hashed = await hashTensors(given, metadata);
    expect(hashed.sshs_model_hash).toBe(result.sshs_model_hash);
    expect(hashed.sshs_legacy_hash).toBe(result.sshs_legacy_hash);
    expect(hashed.tensors.map(({ name }) => name)).toEqual(result.tensor_order_in_file);
  });
});

test.each(golden.modelspec)('modelspec of $inputs', ({ inputs, metadata, error }) => {
  const facts = {
    ...inputs,
    customArchitecture: inputs.custom_arch ?? null,
    resolution: inputs.reso ?? null,
    minTimestep: inputs.timesteps?.[0] ?? null,
    maxTimestep: inputs.timesteps?.[1] ?? null,
  };
  if (error === undefined) expect(modelspecMetadata(facts)).toEqual(metadata);
  else expect(() => modelspecMetadata(facts)).toThrow(expect.objectContaining({ name: 'LoraError' }));
});

/** What all these runs have in common, by the note of the file and the defaults of the options. */
const DEFAULTS = {
  learning_rate: '0.001',
  gradient_checkpointing: false,
  gradient_checkpointing_cpu_offload: false,
  network_module: 'musubi_tuner.networks.lora_wan',
  network_dim: 4,
  network_dropout: null,
  mixed_precision: 'no',
  seed: 42,
  max_grad_norm: '1.0',
  fp8_base: false,
  full_fp16: false,
  full_bf16: false,
  weighting_scheme: 'none',
  logit_mean: '0.0',
  logit_std: '1.0',
  mode_scale: '1.29',
  guidance_scale: '1.0',
  timestep_sampling: 'shift',
  sigmoid_scale: '1.0',
  discrete_flow_shift: '3.0',
};

function parseOptions(argv: readonly string[]) {
  const values = new Map<string, string[]>();
  let last: string[] = [];
  for (const word of argv) {
    if (word.startsWith('--')) values.set(word.slice(2), (last = []));
    else last.push(word);
  }
  const one = (name: string) => values.get(name)?.join(' ') ?? null;
  const number = (name: string) => (one(name) === null ? null : Number(one(name)));
  return {
    one,
    number,
    all: (name: string) => values.get(name) ?? null,
    /** as Python prints a whole number that an option of type float read */
    float: (name: string) => (number(name) === null ? null : number(name)!.toFixed(1)),
  };
}

function keyValues(args: readonly string[] | null): Record<string, string> | null {
  return args && Object.fromEntries(args.map((arg) => arg.split('=') as [string, string]));
}

const DTYPES: Record<string, SafetensorsDtype> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16', int64: 'I64' };

function makeTensor(
  name: string,
  { dtype, shape, value, formula }: Golden['hash_examples'][number]['tensors'][string],
): TensorToWrite {
  const [, modulus, factor] = /^\(i mod (\d+)\) \* ([\d.]+)$/.exec(formula ?? '') ?? [];
  const count = shape.reduce((product, size) => product * size, 1);
  const at = (i: number) => value ?? (formula === 'i' ? i : (i % Number(modulus)) * Number(factor));
  const values = Float32Array.from({ length: count }, (_, i) => at(i));
  const code = DTYPES[dtype]!;
  const data = code === 'I64' ? new Uint8Array(BigInt64Array.from(values, BigInt).buffer) : fromFloat32(values, code);
  return { name, dtype: code, shape, data };
}
