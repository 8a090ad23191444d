// Assembles kernels.wat into src/internal/kernels.ts: `pnpm --filter @musubi/quant-fp8 kernels`. A test compares the two.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import createWabt from 'wabt';

const source = new URL('kernels.wat', import.meta.url);
export const target = new URL('../src/internal/kernels.ts', import.meta.url);

/** The text of src/internal/kernels.ts. */
export async function kernelsModule() {
  const wabt = await createWabt();
  const parsed = wabt.parseWat('kernels.wat', readFileSync(source, 'utf8'), { simd: true });
  const { buffer } = parsed.toBinary({});
  parsed.destroy();
  const lines = Buffer.from(buffer)
    .toString('base64')
    .match(/.{1,110}/g);
  return [
    '// Made by wasm/build.mjs from wasm/kernels.wat. Do not edit.',
    '',
    '/** The assembled module, in base64. */',
    `export const kernels =\n${lines.map((line) => `  '${line}'`).join(' +\n')};`,
    '',
  ].join('\n');
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(fileURLToPath(target), await kernelsModule());
}
