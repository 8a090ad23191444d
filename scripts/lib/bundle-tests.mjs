// Bundles test files for a browser.
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, relative, sep } from 'node:path';
import { build } from 'esbuild';
import { root } from './workspace.mjs';

const stand = (name) => join(root, 'tests', 'browser', name);

/** What tests import from Node.js and other modules that a browser lacks, and what takes its place there. */
const substitutes = {
  vitest: stand('vitest.ts'),
  'node:fs': stand('files.ts'),
  'node:fs/promises': stand('files.ts'),
  'node:path': stand('files.ts'),
  '@musubi/safetensors/node': stand('safetensors-node.ts'),
  'onnxruntime-node': stand('onnxruntime.ts'),
};

/**
 * Bundles test files, with the two scripts that run them, into `outdir`.
 *
 * @param files test files, relative to the repository
 * @returns the files that run in a browser with the name of their bundle, and those that do not with what they need
 */
export async function bundleTests(files, { outdir, isDefaultGolden }) {
  const missing = new Map(files.map((file) => [file, usesOwnPlace(file) ? 'the folder it lies in' : null]));
  const candidates = files.filter((file) => missing.get(file) === null);
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [
      { in: stand('page.ts'), out: 'page' },
      { in: stand('worker.ts'), out: 'worker' },
      { in: stand('runtime-worker.ts'), out: 'runtime-worker' },
      { in: stand('runtime-wasm-worker.ts'), out: 'runtime-wasm-worker' },
      ...candidates.map((file) => ({ in: join(root, file), out: bundleName(file) })),
    ],
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: ['@musubi/source'],
    sourcemap: 'inline',
    sourcesContent: false,
    metafile: true,
    logLevel: 'error',
    define: { MUSUBI_IS_DEFAULT_GOLDEN: String(isDefaultGolden), 'process.env.NODE_ENV': '"test"' },
    plugins: [standIns],
  });
  for (const file of candidates) missing.set(file, nodeModuleBehind(file, metafile.inputs));
  return {
    runnable: files
      .filter((file) => missing.get(file) === null)
      .map((path) => ({ path, url: `/bundle/${bundleName(path)}.js` })),
    left: files.flatMap((path) => (missing.get(path) === null ? [] : [{ path, needs: missing.get(path) }])),
  };
}

const bundleName = (file) => file.replaceAll(/[/\\]/g, '-').replace(/\.ts$/, '');

/** Files beside a test are not on the server. */
const usesOwnPlace = (file) => readFileSync(join(root, file), 'utf8').includes('import.meta');

const standIns = {
  name: 'what a browser lacks',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
      if (kind === 'entry-point') return undefined;
      if (Object.hasOwn(substitutes, path)) return { path, namespace: 'substitute' };
      return isBuiltin(path) || /\/node$|^(esbuild|sharp)$/.test(path) ? { path, namespace: 'needs-node' } : undefined;
    });
    onResolve({ filter: /\/golden\.ts$/ }, ({ path, importer }) =>
      /(^|\/)tests\/golden\.ts$/.test(path) || importer.startsWith(join(root, 'tests') + sep)
        ? { path: stand('golden.ts') }
        : undefined,
    );
    // CommonJS, as only that may lack what is imported: a test that uses it fails
    onLoad({ filter: /.*/, namespace: 'substitute' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(substitutes[path])});`,
      resolveDir: root,
    }));
    onLoad({ filter: /.*/, namespace: 'needs-node' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** What a test imports, itself or through others, that is there in Node.js only; null for nothing. */
function nodeModuleBehind(file, inputs) {
  const seen = new Set();
  const open = [relative(root, join(root, file)).split(sep).join('/')];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (path.startsWith('needs-node:')) return path.slice('needs-node:'.length);
    if (seen.has(path)) continue;
    seen.add(path);
    open.push(...(inputs[path]?.imports ?? []).map((entry) => entry.path));
  }
  return null;
}
