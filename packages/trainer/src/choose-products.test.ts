import type { MixedPrecision } from '@musubi/config';
import type { Provider } from '@musubi/runtime';

import { expect, test, vi } from 'vitest';

import { chooseProducts } from './choose-products.ts';

async function choose(asked: MixedPrecision | null, provider: Provider, state: 'works' | 'fails' = 'works') {
  const lines: string[] = [];
  const probe = vi.fn(async () => ({ state, reason: state === 'works' ? null : 'no shader-f16' }));
  const dtype = await chooseProducts(asked, provider, probe, (line) => lines.push(line));
  return { dtype, line: lines.join('\n'), probes: probe.mock.calls.length };
}

test.each([
  ['fp16', 'cuda', 'float16', 'matrix products in float16, all else in float32, with a loss scale.'],
  ['bf16', 'cuda', 'bfloat16', 'matrix products in bfloat16, all else in float32.'],
  ['fp16', 'webgpu', 'float16', 'matrix products in float16, all else in float32, with a loss scale.'],
] as const)('%s on %s multiplies in %s', async (asked, provider, dtype, line) => {
  expect(await choose(asked, provider)).toEqual({ dtype, line: `mixed_precision ${asked}: ${line}`, probes: 1 });
});

test.each([
  ['fp16', 'cpu', 'cpu has no products in this type'],
  ['bf16', 'cpu', 'cpu has no products in this type'],
  ['bf16', 'webgpu', 'webgpu has no products in this type, only fp16'],
  ['fp16', 'wasm', 'wasm has no products in this type'],
  ['fp16', 'coreml', 'coreml has no products in this type'],
] as const)('%s on %s is float32, and said', async (asked, provider, why) => {
  const line = `mixed_precision ${asked}: ${why}, so all is computed in float32.`;
  expect(await choose(asked, provider)).toEqual({ dtype: 'float32', line, probes: 0 });
});

test('a device that fails at it computes in float32, and says why', async () => {
  expect(await choose('fp16', 'webgpu', 'fails')).toMatchObject({
    dtype: 'float32',
    line: expect.stringContaining('webgpu cannot be used with it here (no shader-f16)'),
  });
});

test.each([null, 'no'] as const)('%s is float32 without a word', async (asked) => {
  expect(await choose(asked, 'cuda')).toEqual({ dtype: 'float32', line: '', probes: 0 });
});
