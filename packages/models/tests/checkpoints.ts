import type { TensorInfo, TensorStore } from '@musubi/safetensors';

import type { WanConfig } from '../src/index.ts';

import { wan } from '../src/index.ts';

type Checkpoint = Pick<TensorStore, 'tensors' | 'metadata'>;

/** The header of a checkpoint of that size, with the changes that a test needs. */
export function checkpoint(config: WanConfig, changes: Partial<Changes> = {}): Checkpoint {
  const { metadata = {}, rename = (name) => name, dtype = 'BF16', change = (list) => list } = changes;
  let offset = 0;
  const tensors = wan.parameters(config).map(({ name, shape }): [string, TensorInfo] => {
    const byteLength = 2 * shape.reduce((a, b) => a * b, 1);
    const key = rename(name);
    const info = { name: key, dtype, shape, source: 'dit.safetensors', offset, byteLength };
    offset += byteLength;
    return [key, info];
  });
  return { tensors: new Map(change(tensors)), metadata };
}

interface Changes {
  readonly metadata: Readonly<Record<string, string>>;
  readonly rename: (name: string) => string;
  readonly dtype: TensorInfo['dtype'];
  readonly change: (tensors: [string, TensorInfo][]) => [string, TensorInfo][];
}

/** Appends a tensor to a checkpoint. */
export const withTensor =
  (name: string, shape: readonly number[] = [1], dtype: TensorInfo['dtype'] = 'BF16') =>
  (tensors: [string, TensorInfo][]): [string, TensorInfo][] => [
    ...tensors,
    [name, { name, dtype, shape, source: 'dit.safetensors', offset: 0, byteLength: 2 }],
  ];

/** A size that was never published. */
export const small: WanConfig = {
  width: 96,
  ffnWidth: 128,
  heads: 3,
  layers: 2,
  channels: 16,
  textWidth: 24,
  textLength: 512,
  timeWidth: 256,
  eps: 1e-6,
};
