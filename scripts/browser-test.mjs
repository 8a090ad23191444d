// `pnpm test:browser`: tests of the packages in Chromium, with golden vectors. Another folder of these: MUSUBI_GOLDEN.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { launchBrowser } from './lib/browser.mjs';
import { bundleTests } from './lib/bundle-tests.mjs';
import { servePages } from './lib/page-server.mjs';
import { runAsScript } from './lib/run.mjs';
import { root } from './lib/workspace.mjs';

/** Their main entries promise to run in browsers, so all of their tests that need no Node.js run there. */
const packages = [
  'autodiff',
  'config',
  'dataset',
  'lora',
  'magcache',
  'models',
  'onnx-graph',
  'optimizers',
  'quant-fp8',
  'random',
  'safetensors',
  'samplers',
  'schedulers',
];

export async function browserTests() {
  const { browser, reason } = await launchBrowser();
  if (!browser) {
    console.log(`  skipped: ${reason}`);
    return { passed: 0, failed: 0 };
  }
  const outdir = mkdtempSync(join(tmpdir(), 'musubi-browser-'));
  try {
    return await runIn(browser, outdir);
  } finally {
    await browser.close();
    rmSync(outdir, { recursive: true, force: true });
  }
}

async function runIn(browser, outdir) {
  const golden = process.env.MUSUBI_GOLDEN ? resolve(root, process.env.MUSUBI_GOLDEN) : join(root, 'golden');
  const isDefaultGolden = golden === join(root, 'golden');
  const { runnable, left } = await bundleTests(testFiles(), { outdir, isDefaultGolden });
  for (const { path, needs } of left) console.log(`  not in browsers: ${path} needs ${needs}`);
  const server = await servePages({
    folders: { bundle: outdir, golden, repository: root, onnxruntime: onnxRuntimeFolder() },
    pages: { '/': '<!doctype html><title>tests</title><script type="module" src="/bundle/page.js"></script>' },
  });
  try {
    const page = await openPage(browser, server.url);
    const report = await page.evaluate((files) => globalThis.runInWorker(files), runnable);
    return tell(report);
  } finally {
    await server.close();
  }
}

/** Test files of all these packages, relative to the repository. */
function testFiles() {
  const files = packages.flatMap((name) =>
    ['src', 'tests'].flatMap((folder) => {
      const path = join('packages', name, folder);
      const names = readdirSync(join(root, path), { recursive: true }).map(String);
      return names.filter((file) => file.endsWith('.test.ts')).map((file) => join(path, file));
    }),
  );
  return files.map((file) => file.split(sep).join('/')).filter((file) => !/\.(slow|browser)\.test\.ts$/.test(file));
}

async function openPage(browser, url) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.log(`  page: ${error.message}`));
  page.on('console', (message) => console.log(`  console: ${message.text()}`));
  await page.goto(url);
  await page.waitForFunction(() => 'runInWorker' in globalThis);
  return page;
}

function tell({ passed, skipped, failures, files }) {
  if (process.env.MUSUBI_DEBUG) for (const f of files.toSorted((a,b)=>b.ms-a.ms).slice(0,15)) console.log(f.path, f.passed, Math.round(f.ms));
  for (const { name, message } of failures) console.log(`  FAILED ${name}\n    ${message.replaceAll('\n', '\n    ')}`);
  console.log(`  ${passed} passed, ${failures.length} failed, ${skipped} skipped`);
  return { passed, failed: failures.length };
}

/** Where the `.wasm` files of onnxruntime-web lie. */
function onnxRuntimeFolder() {
  const { resolve: find } = createRequire(join(root, 'packages', 'runtime', 'package.json'));
  return dirname(find('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
}

await runAsScript(import.meta.url, 'browser tests', browserTests);
