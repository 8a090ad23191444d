// Assembles packages/dataset/src/internal/kernels.wat into kernels-wasm.ts beside it; with --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import wabt from 'wabt';
import { root } from './lib/workspace.mjs';

const folder = join(root, 'packages', 'dataset', 'src', 'internal');
const module = (await wabt()).parseWat('kernels.wat', readFileSync(join(folder, 'kernels.wat'), 'utf8'), {
  simd: true,
});
const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
const lines = base64.match(/.{1,110}/g).map((part) => `  '${part}'`);
const text = `// Written by scripts/build-kernels.mjs from kernels.wat.

/** WebAssembly in base64. */
export const kernelsWasm =
${lines.join(' +\n')};
`;
const target = join(folder, 'kernels-wasm.ts');
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8').replaceAll('\r\n', '\n') !== text) {
    console.error('kernels-wasm.ts is not what kernels.wat says: run node scripts/build-kernels.mjs');
    process.exitCode = 1;
  }
} else {
  writeFileSync(target, text);
}
