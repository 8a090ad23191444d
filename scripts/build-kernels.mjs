// Assembles packages/NAME/src/internal/kernels.wat into kernels-wasm.ts beside it, for the packages named or else for all that
// have one; with --check only compares.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import createWabt from 'wabt';
import { root } from './lib/workspace.mjs';

const names = process.argv.slice(2).filter((argument) => argument !== '--check');
const isCheck = process.argv.includes('--check');
const wabt = await createWabt();

for (const name of names.length > 0 ? names : readdirSync(join(root, 'packages')).filter(hasKernels)) {
  const { source, target } = pathsOf(name);
  const text = assemble(readFileSync(source, 'utf8'));
  if (!isCheck) writeFileSync(target, text);
  else if (readFileSync(target, 'utf8').replaceAll('\r\n', '\n') !== text) {
    console.error(`${target} is not what kernels.wat says: run node scripts/build-kernels.mjs`);
    process.exitCode = 1;
  }
}

function pathsOf(name) {
  const folder = join(root, 'packages', name, 'src', 'internal');
  return { source: join(folder, 'kernels.wat'), target: join(folder, 'kernels-wasm.ts') };
}

function hasKernels(name) {
  return existsSync(pathsOf(name).source);
}

/** The text of kernels-wasm.ts. */
function assemble(source) {
  const module = wabt.parseWat('kernels.wat', source, { simd: true });
  const base64 = Buffer.from(module.toBinary({}).buffer).toString('base64');
  module.destroy();
  const lines = base64.match(/.{1,110}/g).map((part) => `  '${part}'`);
  return `// Written by scripts/build-kernels.mjs from kernels.wat.

/** WebAssembly in base64. */
export const kernelsWasm =
${lines.join(' +\n')};
`;
}
