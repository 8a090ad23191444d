import { open } from 'node:fs/promises';

import type { Parameter } from '../../packages/models/src/index.ts';
import type { SafetensorsDtype } from '../../packages/safetensors/src/index.ts';

import { TorchGenerator } from '../../packages/random/src/index.ts';
import { fromFloat32, serializeSafetensors } from '../../packages/safetensors/src/index.ts';

const blockElements = 2 ** 20;
/** Small enough that the deepest sum of products stays finite, whatever the fan-in. */
const scale = 0.02;

/**
 * Writes a checkpoint whose values are one seeded block of normal numbers over and over: its time and memory are those
 * of any other of its shapes, and it is written as fast as the disk takes it.
 */
export async function writeRandomCheckpoint(path: string, parameters: readonly Parameter[], dtype: SafetensorsDtype) {
  const values = new TorchGenerator(1).randn(blockElements).map((x) => scale * x);
  const block = fromFloat32(values, dtype);
  const { header, byteLength } = serializeSafetensors(parameters.map(({ name, shape }) => ({ name, shape, dtype })));
  const file = await open(path, 'w');
  try {
    await file.writeFile(header);
    for (let left = byteLength - header.length; left > 0; left -= block.length) {
      await file.writeFile(block.subarray(0, Math.min(left, block.length)));
    }
  } finally {
    await file.close();
  }
}
