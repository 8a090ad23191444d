// bench/gpu as plain JavaScript that finds the packages as installed ones.
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';
import { entriesOf, readPackages, root, specifierOf } from '../../scripts/lib/workspace.mjs';

/** Writes `main.js` and `part.js`. */
export async function buildGpuBench(folder) {
  await build({
    absWorkingDir: root,
    entryPoints: ['bench/gpu/main.ts', 'bench/gpu/part.ts'],
    outdir: folder,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    plugins: [installedPackages()],
    logLevel: 'warning',
  });
}

/** The bench imports the packages' sources; in the bundle their entries are packages. */
function installedPackages() {
  const entries = new Map(
    readPackages().flatMap((pack) =>
      entriesOf(pack).map(({ subpath, source }) => [join(pack.folder, source), specifierOf(pack, subpath)]),
    ),
  );
  return {
    name: 'installed-packages',
    setup({ onResolve }) {
      onResolve({ filter: /^\..*\.ts$/ }, ({ path, importer, resolveDir }) => {
        const specifier = entries.get(resolve(resolveDir || dirname(importer), path));
        return specifier === undefined ? undefined : { path: specifier, external: true };
      });
    },
  };
}
