import type { EightBitBase } from '@musubi/config';
import type { SafetensorsDtype } from '@musubi/safetensors';

import { TrainerError } from '../errors.ts';
import { type EightBitModel, type StoredBase } from '../eight-bit-weights.ts';
import { planEightBitBase } from '../plan-eight-bit-base.ts';

/** All that WebAssembly can address: weights, activations and ONNX Runtime itself. */
const addressSpace = 2 ** 32;

export interface StoredModel extends EightBitModel {
  /** By which the configuration names the checkpoint. */
  readonly path: string;
}

/**
 * Refuses a base whose weights alone are more than WebAssembly can address, before any of them is read.
 *
 * @param widened types that become float32 first
 * @throws {TrainerError} `FILE_UNUSABLE`; what `planEightBitBase` throws
 */
export function assertFitsWasm(
  setting: EightBitBase | null,
  model: StoredModel,
  widened: ReadonlySet<SafetensorsDtype>,
): void {
  const bytes = bytesOf(setting ? planEightBitBase(setting, model) : model, widened);
  if (bytes < addressSpace) return;
  const smaller = setting ? Infinity : bytesOf(planEightBitBase(integers, model), widened);
  const { path } = model;
  throw new TrainerError(
    'FILE_UNUSABLE',
    `dit = "${path}": its weights take ${gigabytes(bytes)}, and WebAssembly has an address space of 4 GiB in all.`,
    `${smaller < addressSpace ? `Use --int8_base, with which they take ${gigabytes(smaller)}. ` : ''}` +
      'Train on WebGPU, or with @musubi/cli.',
    { option: 'dit', file: path },
  );
}

const integers = { method: 'int8', format: 'e4m3', mode: 'block', blockSize: 64, cacheDir: null } as const;

function bytesOf({ weights }: Pick<StoredBase, 'weights'>, widened: ReadonlySet<SafetensorsDtype>): number {
  let bytes = 0;
  for (const { dtype, byteLength } of weights.values()) bytes += widened.has(dtype) ? 2 * byteLength : byteLength;
  return bytes;
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
