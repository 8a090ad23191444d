import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * The script of the worker threads: `worker.js` in the built package. From TypeScript sources (tests, development) it is
 * bundled in memory: Node 20 cannot read them, and loaders such as tsx do not reach into worker threads.
 */
export function workerScript(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./worker.js', import.meta.url);
  const { buildSync } = createRequire(import.meta.url)('esbuild') as Bundler;
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL('../worker.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['@musubi/source'],
  });
  return new URL(`data:text/javascript,${encodeURIComponent(outputFiles[0]?.text ?? '')}`);
}

/** What is used of esbuild, a development dependency of the repository. */
interface Bundler {
  buildSync(options: Readonly<Record<string, unknown>>): { outputFiles: readonly { text: string }[] };
}
