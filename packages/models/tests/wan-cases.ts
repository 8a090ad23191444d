import type { TensorStore } from '@musubi/safetensors';

import { existsSync, readdirSync } from 'node:fs';

import { openSafetensorsFile } from '@musubi/safetensors/node';

import type { ModelBatch } from '../src/index.ts';

import { goldenPath, hasGolden, readGoldenJson } from '../../../tests/golden.ts';
import { wan } from '../src/index.ts';

export interface WanCase {
  readonly name: string;
  readonly task: string;
  /** With the original's key names. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** The checkpoint that the case's tensors were computed with. */
  readonly checkpoint: string;
  readonly kind: 'text to video' | 'refused task' | 'fp8';
}

interface CaseFile {
  readonly task: string;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly case_uses_high_noise_model?: boolean;
}

/** Every case of Wan in the golden folder. */
export const wanCases: readonly WanCase[] = (hasGolden('models', 'wan') ? readdirSync(goldenPath('models', 'wan')) : [])
  .filter((name) => hasGolden('models', 'wan', name, 'case.json'))
  .map((name) => {
    const { task, configuration, ...file } = readGoldenJson<CaseFile>('models', 'wan', name, 'case.json');
    const path = (checkpoint: string) => goldenPath('models', 'wan', name, checkpoint);
    const fp8 = existsSync(path('checkpoint_fp8.safetensors'));
    const known: Readonly<Record<string, object>> = wan.tasks;
    const kind = fp8 ? 'fp8' : 'config' in (known[task] ?? {}) ? 'text to video' : 'refused task';
    const high = file.case_uses_high_noise_model ? '_high_noise' : '';
    return { name, task, configuration, kind, checkpoint: path(`checkpoint${fp8 ? '_fp8' : high}.safetensors`) };
  });

export const casesOf = (kind: WanCase['kind']): readonly WanCase[] => wanCases.filter((c) => c.kind === kind);

export const openCase = ({ name }: WanCase): Promise<TensorStore> =>
  openSafetensorsFile(goldenPath('models', 'wan', name, 'case.safetensors'));

/** What the model was called with. */
export async function readModelCall(store: TensorStore): Promise<ModelBatch> {
  const shapeOf = (name: string) => store.tensors.get(name)?.shape ?? [];
  const texts = [...store.tensors.keys()].filter((name) => /^model_in\.context\.\d+$/.test(name));
  return {
    noisyLatents: { dtype: 'float32', shape: shapeOf('model_in.x'), data: await store.readFloat32('model_in.x') },
    timesteps: await store.readFloat32('model_in.t'),
    text: await Promise.all(
      texts
        .toSorted((a, b) => index(a) - index(b))
        .map(async (name) => ({ shape: shapeOf(name), data: await store.readFloat32(name) })),
    ),
  };
}

const index = (name: string): number => Number(name.split('.').at(-1));

export const largest = (values: Float32Array): number => values.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
