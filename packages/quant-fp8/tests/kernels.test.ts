import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';
import { kernelsWasm } from '../src/internal/kernels-wasm.ts';

test('the assembled loops are what their source says', () => {
  const script = fileURLToPath(new URL('../../../scripts/build-kernels.mjs', import.meta.url));
  expect(() => execFileSync(process.execPath, [script, '--check', 'quant-fp8'], { stdio: 'pipe' })).not.toThrow();
});

test('the module is small enough to be compiled on the main thread of a page, where 4 KB are allowed', () => {
  expect((kernelsWasm.length / 4) * 3).toBeLessThan(4096);
});
