import {
  type TensorToWrite,
  blobSource,
  bytesSource,
  encodeSafetensors,
  fromFloat32,
  openSafetensors,
} from '@musubi/safetensors';
import { expect, test } from 'vitest';

import { widenCheckpoint } from './widen-checkpoint.ts';

/** What WebGPU does not know. */
const webGpu = new Set(['BF16', 'F16'] as const);
const bits = Uint8Array.of(1, 2, 3);
const half = { name: 'half', shape: [2], dtype: 'F16', data: fromFloat32(Float32Array.of(0.5, -3), 'F16') } as const;
const brain = {
  name: 'brain',
  shape: [3],
  dtype: 'BF16',
  data: fromFloat32(Float32Array.of(1, 2, -0.25), 'BF16'),
} as const;
const whole = { name: 'whole', shape: [1, 1], dtype: 'F32', data: fromFloat32(Float32Array.of(1 / 3), 'F32') } as const;
const bytes = { name: 'bytes', shape: [3], dtype: 'U8', data: bits } as const;

const storeOf = async (...tensors: TensorToWrite[]) =>
  openSafetensors(bytesSource(await encodeSafetensors(tensors, { metadata: { of: 'a test' } })));

test('16-bit floats become float32, and all else stays', async () => {
  const blob = await widenCheckpoint(await storeOf(half, brain, whole, bytes), webGpu);
  const wide = await openSafetensors(blobSource(blob ?? new Blob(), 'wide'));
  expect(wide.metadata).toEqual({ of: 'a test' });
  const forms = [...wide.tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  expect(forms).toEqual([
    { name: 'brain', dtype: 'F32', shape: [3] },
    { name: 'half', dtype: 'F32', shape: [2] },
    { name: 'whole', dtype: 'F32', shape: [1, 1] },
    { name: 'bytes', dtype: 'U8', shape: [3] },
  ]);
  expect(await wide.readFloat32('brain')).toEqual(Float32Array.of(1, 2, -0.25));
  expect(await wide.readFloat32('half')).toEqual(Float32Array.of(0.5, -3));
  expect(await wide.readFloat32('whole')).toEqual(Float32Array.of(1 / 3));
  expect(await wide.read('bytes')).toEqual(bits);
});

test('a file without 16-bit floats is not copied', async () => {
  expect(await widenCheckpoint(await storeOf(whole, bytes), webGpu)).toBeNull();
});

test('types that are not named stay too', async () => {
  expect(await widenCheckpoint(await storeOf(half, whole), new Set(['BF16']))).toBeNull();
  const blob = await widenCheckpoint(await storeOf(half, brain), new Set(['BF16']));
  const { tensors } = await openSafetensors(blobSource(blob ?? new Blob(), 'wide'));
  expect([...tensors.values()].map(({ name, dtype }) => [name, dtype])).toEqual([
    ['brain', 'F32'],
    ['half', 'F16'],
  ]);
});

test('floats of any width become float16 where that is asked for', async () => {
  const store = await storeOf(half, brain, whole, bytes);
  const blob = await widenCheckpoint(store, webGpu, (name) => name === 'brain' || name === 'whole');
  const mixed = await openSafetensors(blobSource(blob ?? new Blob(), 'mixed'));
  const dtypes = [...mixed.tensors.values()].map(({ name, dtype }) => [name, dtype]);
  expect(Object.fromEntries(dtypes)).toEqual({ brain: 'F16', half: 'F32', whole: 'F16', bytes: 'U8' });
  expect(await mixed.readFloat32('brain')).toEqual(Float32Array.of(1, 2, -0.25));
  expect((await mixed.readFloat32('whole'))[0]).toBe(1365 / 4096);
  expect(await widenCheckpoint(await storeOf(half, bytes), webGpu, () => true)).toBeNull();
});
