import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';

import { defineConfig, type Options } from 'tsup';

type Entries = Record<string, string>;

/**
 * The build of every package: ESM with declarations, one file per entry.
 *
 * Declarations are skipped with `MUSUBI_BUILD_DTS=0`, which the quick start uses: it only runs the result.
 */
export function library(entry: Entries = { index: 'src/index.ts' }, overrides: Options = {}) {
  return defineConfig({
    entry,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    external: [/^node:/],
    dts: process.env['MUSUBI_BUILD_DTS'] === '0' ? false : declarations(entry),
    sourcemap: true,
    clean: true,
    treeshake: true,
    ...overrides,
  });
}

/** Bundles what `scripts/declarations.mjs` made of the sources; nothing is left to be checked or looked up. */
function declarations(entry: Entries): NonNullable<Options['dts']> {
  const made = resolve('../../.types', basename(process.cwd()));
  if (!existsSync(made)) throw new Error(`${made} is missing. Run pnpm build in the root of the repository once.`);
  return {
    entry: Object.fromEntries(
      Object.entries(entry).map(([name, file]) => [name, resolve(made, file.replace(/\.ts$/, '.d.ts'))]),
    ),
    compilerOptions: { customConditions: [], noCheck: true, noLib: true, types: [], rootDir: resolve('../..') },
  };
}
