import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFloat32 } from '@musubi/safetensors';
import type { SafetensorsDtype, TensorToWrite } from '@musubi/safetensors';
import { onTestFinished } from 'vitest';

/** A folder that is removed after the test. Its name holds what paths of users hold. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'musubi fp8 文 '));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** Numbers that are the same on every run, in −1 … 1. */
export function numbers(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 2 ** 30 - 1;
  });
}

/** A tensor of such numbers. */
export function randomTensor(
  name: string,
  shape: readonly number[],
  dtype: SafetensorsDtype = 'BF16',
  seed = 1,
): TensorToWrite & { data: Uint8Array } {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, dtype, shape, data: fromFloat32(numbers(count, seed), dtype) };
}
