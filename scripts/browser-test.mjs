// `pnpm test:browser [PART OF A PATH …]`: tests of the packages in Chromium, with golden vectors. Another folder of
// these: MUSUBI_GOLDEN.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import { launchBrowser } from './lib/browser.mjs';
import { bundleTests } from './lib/bundle-tests.mjs';
import { notInBrowsers } from './lib/not-in-browsers.mjs';
import { servePages } from './lib/page-server.mjs';
import { createChecklist, runAsScript } from './lib/run.mjs';
import { readPackages, root } from './lib/workspace.mjs';

/**
 * Packages whose main entries promise to run in browsers, so that all of their tests that need no Node.js run there; and
 * how many have to pass at least, so that none drops out unseen.
 */
const packages = {
  autodiff: 820,
  config: 1932,
  dataset: 1516,
  lora: 613,
  magcache: 139,
  models: 89,
  'onnx-graph': 937,
  optimizers: 570,
  'quant-fp8': 636,
  random: 129,
  safetensors: 140,
  samplers: 840,
  schedulers: 617,
};

/** Of these only the tests for browsers run. */
const others = { runtime: 23, trainer: 307 };

/**
 * Files for pages that share one, and with it ONNX Runtime, which is compiled once a page, and on WebGPU, where a runtime is
 * shared, the shaders that software compiles for seconds. Each other file has a page of its own.
 */
const pages = [
  ['web-runtime', 'device-tensors', 'webgpu-operators'],
  ['web-training', 'web-eight-bit', 'device-weights'],
];

/** Parts of paths of test files that compare with runs of Node.js. */
const compared = ['web-training', 'web-eight-bit'];

/**
 * @param chosen parts of the paths of test files; none for all of them
 */
export async function browserTests(chosen = []) {
  const { browser, reason } = await launchBrowser();
  if (!browser) {
    console.log(`  skipped: ${reason}`);
    return { passed: 0, failed: 0 };
  }
  const outdir = mkdtempSync(join(tmpdir(), 'musubi-browser-'));
  try {
    return await runIn(browser, outdir, chosen);
  } finally {
    await browser.close();
    rmSync(outdir, { recursive: true, force: true });
  }
}

async function runIn(browser, outdir, chosen) {
  const golden = process.env.MUSUBI_GOLDEN ? resolve(root, process.env.MUSUBI_GOLDEN) : join(root, 'golden');
  const isDefaultGolden = golden === join(root, 'golden');
  const { runnable, left } = await bundleTests(testFiles(chosen), { outdir: join(outdir, 'bundle'), isDefaultGolden });
  const listed = checkLeft(left, runnable);
  const reference = join(outdir, 'reference');
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
    const needsReferences = runnable.some(({ path }) => isOneOf(compared, path));
    const references = needsReferences ? writeReferences(reference) : Promise.resolve();
    const waiting = groups(runnable.filter(isForPage));
    const [reports] = await Promise.all([
      Promise.all([
        inWorkers(
          browser,
          server.url,
          runnable.filter((file) => !isForPage(file)),
        ),
        // two at a time: software WebGPU of one browser is one thread
        inPages(waiting, server.url, references),
        inPages(waiting, server.url, references),
      ]),
      references,
    ]);
    const merged = mergeReports(reports.flat());
    const complete = chosen.length > 0 || !isDefaultGolden ? [] : [checkCounts(merged.files)];
    return [listed, tell(merged), ...complete].reduce((a, b) => ({
      passed: a.passed + b.passed,
      failed: a.failed + b.failed,
    }));
  } finally {
    await server.close();
  }
}

/** Tests that need no page, in workers. */
async function inWorkers(browser, url, files) {
  if (files.length === 0) return [];
  const page = await openPage(browser, url);
  const count = Math.max(1, Math.min(4, availableParallelism() - 1));
  return [await page.evaluate((some, workers) => globalThis.runInWorkers(some, workers), files, count)];
}

/** Files by the page that they share, in its order. */
function groups(files) {
  const shared = pages.map((parts) => parts.flatMap((part) => files.filter(({ path }) => path.includes(part))));
  const single = files.filter((file) => !shared.flat().includes(file)).map((file) => [file]);
  return [...shared, ...single].filter((group) => group.length > 0);
}

/** One page after another until none is left, each in a browser of its own, as a user opens it. */
async function inPages(waiting, url, references) {
  const reports = [];
  for (let files = waiting.shift(); files !== undefined; files = waiting.shift()) {
    if (files.some(({ path }) => isOneOf(compared, path))) await references;
    const { browser } = await launchBrowser();
    try {
      const page = await openPage(browser, url);
      reports.push(await page.evaluate((some) => globalThis.runInPage(some), files));
    } finally {
      await browser.close();
    }
  }
  return reports;
}

const mergeReports = (reports) => ({
  passed: reports.reduce((sum, { passed }) => sum + passed, 0),
  skipped: reports.reduce((sum, { skipped }) => sum + skipped, 0),
  failures: reports.flatMap(({ failures }) => failures),
  files: reports.flatMap(({ files }) => files),
});

/** Whether exactly those test files are left out that are said to be. */
function checkLeft(left, runnable) {
  const { counts, holds } = createChecklist();
  for (const { path, needs } of left) {
    const reason = notInBrowsers[path];
    if (reason) console.log(`  not in browsers: ${path} ${reason}`);
    holds(`${path} needs ${needs}: change it, or list it in scripts/lib/not-in-browsers.mjs.`, reason !== undefined);
  }
  for (const { path } of runnable) {
    holds(
      `${path} runs in browsers: take it out of scripts/lib/not-in-browsers.mjs.`,
      !Object.hasOwn(notInBrowsers, path),
    );
  }
  return { passed: 0, failed: counts.failed };
}

/** Whether as many tests of each package passed as there were once. */
function checkCounts(files) {
  const { counts, holds } = createChecklist();
  for (const [name, least] of Object.entries({ ...packages, ...others })) {
    const passed = files
      .filter(({ path }) => path.startsWith(`packages/${name}/`))
      .reduce((sum, file) => sum + file.passed, 0);
    holds(`of ${name} ${passed} tests passed, and there were ${least}.`, passed >= least);
  }
  return counts;
}

/** The longest, for whom it takes too long. */
function tellTimes(files) {
  for (const { path, ms } of files.toSorted((a, b) => b.ms - a.ms).slice(0, 8)) {
    console.log(`  ${(ms / 1000).toFixed(1).padStart(6)} s  ${path}`);
  }
}

/** All tests of the packages above, and of others those that are for browsers. Relative to the repository. */
function testFiles(chosen) {
  return readPackages().flatMap(({ name }) =>
    ['src', 'tests']
      .map((folder) => join('packages', name, folder))
      .filter((folder) => existsSync(join(root, folder)))
      .flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, String(file))),
      )
      .map((file) => file.split(sep).join('/'))
      .filter((file) =>
        Object.hasOwn(packages, name) ? /(?<!\.slow)\.test\.ts$/.test(file) : file.endsWith('.browser.test.ts'),
      )
      .filter((file) => chosen.length === 0 || chosen.some((part) => file.includes(part))),
  );
}

async function openPage(browser, url) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.log(`  page: ${error.message}`));
  page.on('console', (message) => console.log(`  console: ${message.text()}`));
  await page.goto(url);
  await page.waitForFunction(() => 'runInWorkers' in globalThis);
  return page;
}

function tell({ passed, skipped, failures, files }) {
  tellTimes(files);
  for (const { name, message } of failures) console.log(`  FAILED ${name}\n    ${message.replaceAll('\n', '\n    ')}`);
  console.log(`  ${passed} passed, ${failures.length} failed, ${skipped} skipped`);
  return { passed, failed: failures.length };
}

const isForPage = ({ path }) => path.endsWith('.browser.test.ts');

const isOneOf = (parts, path) => parts.some((part) => path.includes(part));

/** What the browsers' runs are compared with. */
async function writeReferences(folder) {
  const script = join(root, 'packages', 'trainer', 'tests', 'browser-references.ts');
  const args = ['--import=tsx', '--conditions=@musubi/source', script, 'wan_t2v', folder];
  await promisify(execFile)(process.execPath, args, { cwd: root });
}

/** Where the `.wasm` files of onnxruntime-web lie. */
function onnxRuntimeFolder() {
  const { resolve: find } = createRequire(join(root, 'packages', 'runtime', 'package.json'));
  return dirname(find('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
}

await runAsScript(import.meta.url, 'browser tests', () => browserTests(process.argv.slice(2)));
