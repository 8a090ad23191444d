import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * The script of the worker threads: `picture-worker.js` in the built package. From TypeScript sources (tests, development)
 * it is bundled in memory, where packages are named by the place they were found at: Node 20 cannot read TypeScript,
 * loaders such as tsx do not reach into worker threads, and a script in memory finds no packages.
 */
export function pictureWorkerScript(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./picture-worker.js', import.meta.url);
  const require = createRequire(import.meta.url);
  const { buildSync } = require('esbuild') as Bundler;
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL('../picture-worker.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    alias: Object.fromEntries(['sharp', 'tinypool'].map((name) => [name, pathToFileURL(require.resolve(name)).href])),
    external: ['file:*'],
  });
  return new URL(`data:text/javascript,${encodeURIComponent(outputFiles[0]?.text ?? '')}`);
}

/** What is used of esbuild, a development dependency of the repository. */
interface Bundler {
  buildSync(options: Readonly<Record<string, unknown>>): { outputFiles: readonly { text: string }[] };
}
