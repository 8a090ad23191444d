import { describe, expect, test } from 'vitest';
import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { filterKeys, mergeLora } from '../src/index.ts';
import { dtypeOf, goldenStore, storeOf, unitInTheLastPlace } from './golden-tensors.ts';
import type { GoldenTensors } from './golden-tensors.ts';

interface Golden {
  settings: { tolerance: { float32_abs: number } };
  merge_module: {
    args: { multiplier: number; base_dtype: string };
    input: { base: GoldenTensors; lora: GoldenTensors };
    output: GoldenTensors;
  }[];
  filter: {
    args: { include_pattern: string | null; exclude_pattern: string | null };
    input: string[];
    output: string[];
  }[];
  cases: {
    args: { base_dtype: string; loras: string[]; multipliers: number[]; has_alpha: boolean };
    input: { base: GoldenTensors; loras: GoldenTensors[] };
    output: { merged: GoldenTensors };
  }[];
}

const golden = readGoldenJson<Golden>('maths', 'lora_merge.json');
const { float32_abs } = golden.settings.tolerance;

test('the default folder has cases of every kind', () => {
  if (isDefaultGolden) expect(golden.cases.length * golden.merge_module.length).toBeGreaterThan(0);
});

test.each(golden.merge_module)('as the merge script: $args', async ({ args, input, output }) => {
  const adapters = [{ store: await goldenStore(input.lora), multiplier: args.multiplier }];
  await compare(mergeLora(await goldenStore(input.base), adapters).tensors, output);
});

test.each(golden.filter)('keys with $args', ({ args, input, output }) => {
  expect(filterKeys(input, { include: args.include_pattern, exclude: args.exclude_pattern })).toEqual(output);
});

describe.each(golden.cases)('as models are loaded: $args', ({ args, input, output }) => {
  test('gives the weights', async () => {
    const stores = await Promise.all(input.loras.map((tensors) => goldenStore(tensors)));
    const adapters = stores.map((store, i) => ({ store, multiplier: args.multipliers[i] ?? 1 }));
    const { tensors, unused } = mergeLora(await goldenStore(input.base), adapters, { arithmetic: 'promoted' });
    expect(unused).toEqual([]);
    await compare(tensors, output.merged);
  });
});

async function compare(tensors: Parameters<typeof storeOf>[0], expected: GoldenTensors): Promise<void> {
  const store = await storeOf(tensors);
  for (const [name, { dtype, shape, values }] of Object.entries(expected)) {
    const info = store.tensors.get(name)!;
    expect([name, info.dtype, info.shape]).toEqual([name, dtypeOf(dtype), shape]);
    const tolerance = dtype === 'float32' ? { atol: float32_abs } : { rtol: unitInTheLastPlace(dtype) };
    expect(await store.readFloat32(name)).toBeAllClose(Float32Array.from(values), tolerance);
  }
}
