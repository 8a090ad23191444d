import { defineConfig, type Options } from 'tsup';

/**
 * The build of every package: ESM with declarations, one file per entry.
 *
 * Declarations are skipped with `MUSUBI_BUILD_DTS=0`, which the quick start uses: it only runs the result.
 */
export function library(entry: Record<string, string> = { index: 'src/index.ts' }, overrides: Options = {}) {
  return defineConfig({
    entry,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    external: [/^node:/],
    dts: process.env['MUSUBI_BUILD_DTS'] === '0' ? false : { compilerOptions: { customConditions: [] } },
    sourcemap: true,
    clean: true,
    treeshake: true,
    ...overrides,
  });
}
