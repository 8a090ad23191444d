import type { EightBitBase } from '@musubi/config';
import type { TensorInfo } from '@musubi/safetensors';

import { planEightBit } from '@musubi/quant-fp8';
import { fp8Source } from '@musubi/quant-fp8/graph';
import { bytesPerElement } from '@musubi/safetensors';

import { type EightBitModel, type StoredBase, storeOptions } from './eight-bit-weights.ts';

/**
 * The weights as `openEightBitBase` would store them, from the header of the checkpoint: names, types, shapes and sizes,
 * in a file that does not exist.
 *
 * @throws as `openEightBitBase` where the model or its weights cannot be stored in 8 bits
 */
export function planEightBitBase(
  setting: EightBitBase,
  { path, weights, architecture, wide = false }: EightBitModel & { readonly path: string },
): StoredBase {
  const named = Array.from(weights, ([name, info]) => ({ ...info, name }));
  const tensors = new Map<string, TensorInfo>();
  let offset = 0;
  for (const { name, dtype, shape } of planEightBit(named, { ...storeOptions(setting, architecture), wide })) {
    const byteLength = shape.reduce((product, size) => product * size, bytesPerElement(dtype));
    tensors.set(name, { name, dtype, shape, offset, byteLength, source: path });
    offset += byteLength;
  }
  return { weights: tensors, source: (locate) => fp8Source({ tensors }, locate) };
}
