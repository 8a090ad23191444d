// `pnpm test:browser`: tests of the packages in Chromium, with golden vectors. Another folder of these: MUSUBI_GOLDEN.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { launchBrowser } from './lib/browser.mjs';
import { bundleTests } from './lib/bundle-tests.mjs';
import { servePages } from './lib/page-server.mjs';
import { runAsScript, runNode } from './lib/run.mjs';
import { readPackages, root } from './lib/workspace.mjs';

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
  const { runnable, left } = await bundleTests(testFiles(), { outdir: join(outdir, 'bundle'), isDefaultGolden });
  for (const { path, needs } of left) console.log(`  not in browsers: ${path} needs ${needs}`);
  const reference = join(outdir, 'reference');
  trainReference(reference);
  const server = await servePages({
    folders: {
      bundle: join(outdir, 'bundle'),
      golden,
      onnxruntime: onnxRuntimeFolder(),
      reference,
      repository: root,
    },
    pages: { '/': '<!doctype html><title>tests</title><script type="module" src="/bundle/page.js"></script>' },
  });
  try {
    const page = await openPage(browser, server.url);
    const inWorker = runnable.filter((file) => !isForPage(file));
    const reports = [
      await page.evaluate((files) => globalThis.runInWorker(files), inWorker),
      await page.evaluate((files) => globalThis.runInPage(files), runnable.filter(isForPage)),
    ];
    return reports.map(tell).reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed }));
  } finally {
    await server.close();
  }
}

/** All tests of the packages above, and of others those that are for browsers. Relative to the repository. */
function testFiles() {
  return readPackages().flatMap(({ name }) =>
    ['src', 'tests']
      .map((folder) => join('packages', name, folder))
      .filter((folder) => existsSync(join(root, folder)))
      .flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, String(file))),
      )
      .map((file) => file.split(sep).join('/'))
      .filter((file) =>
        packages.includes(name) ? /(?<!\.slow)\.test\.ts$/.test(file) : file.endsWith('.browser.test.ts'),
      ),
  );
}

async function openPage(browser, url) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.log(`  page: ${error.message}`));
  page.on('console', (message) => console.log(`  console: ${message.text()}`));
  await page.goto(url);
  await page.waitForFunction(() => 'runInWorker' in globalThis);
  return page;
}

function tell({ passed, skipped, failures }) {
  for (const { name, message } of failures) console.log(`  FAILED ${name}\n    ${message.replaceAll('\n', '\n    ')}`);
  console.log(`  ${passed} passed, ${failures.length} failed, ${skipped} skipped`);
  return { passed, failed: failures.length };
}

const isForPage = ({ path }) => path.endsWith('.browser.test.ts');

/** What the browsers' runs are compared with. */
function trainReference(folder) {
  const script = join(root, 'packages', 'trainer', 'tests', 'browser-reference.ts');
  const args = ['--conditions=@musubi/source', script, 'wan_t2v', folder];
  const { ok, status, stdout, stderr } = runNode('--import=tsx', args, { capture: true });
  if (!ok) throw new Error(`training in Node.js ended with ${status}\n${stdout}${stderr}`);
}

/** Where the `.wasm` files of onnxruntime-web lie. */
function onnxRuntimeFolder() {
  const { resolve: find } = createRequire(join(root, 'packages', 'runtime', 'package.json'));
  return dirname(find('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
}

await runAsScript(import.meta.url, 'browser tests', browserTests);
