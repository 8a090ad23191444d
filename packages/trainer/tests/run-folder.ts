import type { LoraAdapter } from '@musubi/lora';
import type { SafetensorsDtype, TensorStore, TensorToWrite } from '@musubi/safetensors';

import { readdirSync } from 'node:fs';
import { cp, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type TrainConfig, resolveOptions } from '@musubi/config';
import { loraFile, readLora } from '@musubi/lora';
import { fromFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeFileAtomic, writeSafetensorsFile } from '@musubi/safetensors/node';

import { global, integer, pickle, record, storage, tensor, text, tuple } from '../../safetensors/tests/make-pickle.ts';
import { makePth } from '../../safetensors/tests/make-pth.ts';
import { goldenPath, hasGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type RunHooks, type TrainEvent, type TrainOutcome, type TrainStep, runTraining } from '../src/node.ts';

/** Recorded runs of Wan text to video. */
export const wanRuns = hasGolden('runs')
  ? readdirSync(goldenPath('runs')).filter((name) => {
      if (!hasGolden('runs', name, 'run.json')) return false;
      const { architecture, model_type } = readGoldenJson<Record<string, string>>('runs', name, 'model.json');
      return architecture === 'wan' && model_type === 't2v';
    })
  : [];

/** The options of a short run: each batch is a step, at a constant rate. */
export const short = (steps: number): string =>
  `--max_train_steps ${steps} --gradient_accumulation_steps 1 --save_every_n_steps 1000 --lr_scheduler constant --lr_warmup_steps 0`;

export interface FinishedRun {
  readonly config: TrainConfig;
  readonly outcome: TrainOutcome;
  readonly steps: readonly TrainStep[];
  readonly losses: readonly number[];
  readonly events: readonly TrainEvent[];
  readonly lines: readonly string[];
  /** Names of the files in its output folder. */
  readonly files: readonly string[];
}

/** A copy of a recorded run, which is the working folder until it is closed. */
export interface RunFolder {
  readonly path: string;
  /** Trains with the folder's configuration and more options; a text is split at its spaces. */
  run(options?: string | readonly string[], hooks?: RunHooks): Promise<FinishedRun>;
  close(): Promise<void>;
}

const readText = (file: string) => readFile(file, 'utf8');

export async function openRunFolder(name: string, prefix = 'musubi-run-'): Promise<RunFolder> {
  const before = process.cwd();
  const path = await mkdtemp(join(tmpdir(), prefix));
  await cp(goldenPath('runs', name), path, { recursive: true });
  process.chdir(path);
  let count = 0;
  return {
    path,
    async run(options = [], hooks = {}) {
      const given = typeof options === 'string' ? options.split(' ').filter((word) => word !== '') : options;
      const output = given.includes('--output_dir') ? [] : ['--output_dir', `out-${++count}`];
      const argv = ['--config_file', 'config.toml', ...output, ...given];
      const { config } = await resolveOptions({ command: 'train', argv, readText });
      const [steps, events, lines]: [TrainStep[], TrainEvent[], string[]] = [[], [], []];
      const outcome = await runTraining(config, {
        ...hooks,
        logger: (line) => lines.push(line),
        onStep: (step) => {
          steps.push(step);
          hooks.onStep?.(step);
        },
        onEvent: (event) => {
          events.push(event);
          hooks.onEvent?.(event);
        },
      });
      const files = (await readdir(config.outputDir)).toSorted();
      return { config, outcome, steps, losses: steps.map((step) => step.loss), events, lines, files };
    },
    async close() {
      process.chdir(before);
      await rm(path, { recursive: true });
    },
  };
}

export async function readStore<T>(path: string, read: (store: TensorStore) => T | Promise<T>): Promise<T> {
  const store = await openSafetensorsFile(path);
  try {
    return await read(store);
  } finally {
    await store.close();
  }
}

export const readAdapter = (path: string): Promise<LoraAdapter> => readStore(path, readLora);

export async function writeAdapter(path: string, adapter: LoraAdapter, dtype: 'F32' | 'BF16' = 'F32'): Promise<void> {
  await writeSafetensorsFile(path, (await loraFile(adapter, { dtype })).tensors);
}

/** A tensor of a file, its values as float32. */
export interface FileTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

const storageClasses: Partial<Record<SafetensorsDtype, string>> = {
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
};

/**
 * A safetensors file as a checkpoint of PyTorch, the tensors under `state_dict`.
 *
 * @param isTransposed which matrices lie in the file column by column
 */
export async function writePth(from: string, to: string, isTransposed: (name: string) => boolean): Promise<void> {
  const { names, storages } = await readStore(from, async (store) => {
    const tensors: Record<string, Uint8Array> = {};
    const bytes: Record<string, Uint8Array> = {};
    for (const { name, dtype, shape } of store.tensors.values()) {
      const key = `${Object.keys(bytes).length}`;
      const values = await store.readFloat32(name);
      const [rows = 1, columns = 1] = shape;
      const turned = shape.length === 2 && isTransposed(name);
      const stored = turned ? values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!) : values;
      bytes[key] = fromFloat32(stored, dtype);
      const steps = turned ? [1, rows] : shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
      const type = global('torch', storageClasses[dtype]!);
      tensors[name] = tensor({
        storage: storage({ type, key, count: integer(values.length) }),
        shape: tuple(...shape.map(integer)),
        strides: tuple(...steps.map(integer)),
      });
    }
    return { names: tensors, storages: bytes };
  });
  const checkpoint = { epoch: integer(3), note: text('by a test'), state_dict: record(names) };
  await writeFileAtomic(to, makePth(pickle(record(checkpoint)), { folder: 'dit', storages }));
}

/** Copies a file, or writes it anew, with every tensor changed or left out. */
export async function rewriteTensors(
  from: string,
  to: string,
  change: (tensor: FileTensor) => FileTensor | null,
): Promise<void> {
  const { tensors, metadata } = await readStore(from, async (store) => {
    const read: TensorToWrite[] = [];
    for (const { name, dtype, shape } of store.tensors.values()) {
      const changed = change({ name, dtype, shape, data: await store.readFloat32(name) });
      if (changed) read.push({ ...changed, data: fromFloat32(changed.data, changed.dtype) });
    }
    return { tensors: read, metadata: store.metadata };
  });
  await writeSafetensorsFile(to, tensors, { metadata });
}
