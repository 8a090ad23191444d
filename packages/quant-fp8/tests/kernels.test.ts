import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { kernels } from '../src/internal/kernels.ts';
import { kernelsModule, target } from '../wasm/build.mjs';

test('src/internal/kernels.ts is wasm/kernels.wat as assembled', async () => {
  expect(readFileSync(target, 'utf8').replaceAll('\r\n', '\n')).toBe(await kernelsModule());
});

test('the module is small enough to be compiled on the main thread of a page, where 4 KB are allowed', () => {
  expect((kernels.length / 4) * 3).toBeLessThan(4096);
});
