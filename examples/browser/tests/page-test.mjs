// `node examples/browser/tests/page-test.mjs [--screenshot] [PART OF A NAME]`: builds the page and uses it in Chromium, as a user would. With
// `--screenshot`, it also takes ../screenshot.png anew.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { launchBrowser } from '../../../scripts/lib/browser.mjs';
import { createChecklist, runAsScript, runNode } from '../../../scripts/lib/run.mjs';
import { cutToBfloat16, tensorProblems } from '../../../scripts/lib/safetensors.mjs';
import { copyRunInputs } from '../../../scripts/lib/small-run.mjs';
import {
  download,
  dropPaths,
  focusedId,
  followRows,
  followRun,
  openPage,
  servePage,
  setValue,
  tabTo,
  textOf,
} from './browser-page.mjs';
import { gpuContexts } from './gpu-contexts.mjs';

const project = fileURLToPath(new URL('..', import.meta.url));
const load = createRequire(import.meta.url);

/**
 * Of losses and of the adapter, relative. WebAssembly adds in another order than Node.js, and WebGPU has exponentials of its
 * own. AdamW divides each gradient by its own size, so that single weights with tiny ones differ by twice as much.
 */
const tolerances = { wasm: 1e-5, webgpu: 1e-4 };

/** @param {{ screenshot?: boolean, only?: string }} options `only` tests whose name has this in it */
export async function pageTests({ screenshot = false, only = '' } = {}) {
  const { browser, reason } = await launchBrowser();
  if (!browser) {
    console.log(`  skipped: ${reason}`);
    return { passed: 0, failed: 0 };
  }
  const folder = mkdtempSync(join(tmpdir(), 'musubi-page-'));
  const { holds, counts } = createChecklist();
  try {
    const built = await buildPage(join(folder, 'page'));
    const server = await servePage(built);
    const context = { browser, folder, built, holds, url: server.url, screenshot };
    try {
      for (const [name, test] of Object.entries(tests)) if (name.includes(only)) await attempt(name, test, context);
    } finally {
      await server.close();
    }
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  return counts;
}

async function attempt(name, test, context) {
  const start = performance.now();
  try {
    await test(context);
  } catch (error) {
    context.holds(`${name}: ${error instanceof Error ? error.stack : error}`, false);
  }
  for (const open of context.browser.browserContexts()) if (open.id) await open.close();
  console.log(`  ${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

const tests = {
  'a folder is dropped, trained on and its LoRA downloaded': dropAndTrain,
  'WebGPU trains too, and nothing stays on the graphics card': trainOnWebGpu,
  'everything works from the keyboard, and a stopped run is saved': useKeyboard,
  'mistakes are told with their remedy': makeMistakes,
  'what is missing beside pictures is named': dropPictures,
  accessibility: checkAccessibility,
  'without a network and without isolation': goOffline,
};

async function buildPage(outDir) {
  const { build } = await import(pathToFileURL(load.resolve('vite')).href);
  await build({
    root: project,
    configFile: join(project, 'vite.config.ts'),
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true },
  });
  return outDir;
}

/** What Node.js makes of the run that the page shows under "The same run on the command line". */
async function runInNode(page, folder) {
  const [, , ...argv] = (await textOf(page, 'command')).split(' ').slice(1);
  writeFileSync(join(folder, 'dataset.toml'), await textOf(page, 'dataset'));
  const script = join(project, 'tests', 'node-run.ts');
  const args = ['--conditions=@musubi/source', script, folder, ...argv];
  const { ok, stdout, stderr } = runNode('--import=tsx', args, { capture: true });
  if (!ok) throw new Error(`training in Node.js failed\n${stdout}${stderr}`);
  return { losses: JSON.parse(stdout.trim().split('\n').at(-1)), path: join(folder, 'output', 'my_lora.safetensors') };
}

/** Drops a folder with the recorded run. */
async function dropRun(page, folder) {
  await dropPaths(page, [folder]);
  await page.waitForFunction(() => document.getElementById('caches-state').textContent.startsWith('12 latent'));
}

async function dropAndTrain({ browser, folder, holds, url }) {
  const run = join(folder, 'run');
  const downloads = join(folder, 'downloads-drop');
  copyRunInputs(run);
  const page = await openPage(browser, url, { downloads });
  await dropRun(page, run);
  const state = await textOf(page, 'checkpoint-state');
  holds(
    `the page says "${state}" of the dropped checkpoint`,
    /^dit\.safetensors, 0\.6 MB, with model\.json\.$/.test(state),
  );
  holds('no file is missing', await page.$eval('#missing', (box) => box.hidden));
  await setValue(page, 'network_dim', '4');
  await setValue(page, 'learning_rate', '2e-4');
  await setValue(page, 'max_train_steps', '8');
  await page.click('#start');
  const lengths = await followRun(page);
  holds(`the curve does not grow: ${lengths} points`, lengths.filter((length) => length > 0).length >= 3);
  holds('the curve has a point a batch', lengths.at(-1) === 8);
  const status = await textOf(page, 'status');
  holds(`the status is "${status}"`, status.startsWith('Finished after 8 steps.'));
  holds('the worker is still there', page.workers().length === 0);
  await compareRun(page, { run, downloads, holds, tolerance: tolerances.wasm });
}

async function trainOnWebGpu({ browser, folder, holds, url }) {
  const run = join(folder, 'run-webgpu');
  const downloads = join(folder, 'downloads-webgpu');
  const page = await openPage(browser, url, { downloads });
  if (await page.$eval('#webgpu', (input) => input.disabled)) {
    console.log(`  skipped: ${await textOf(page, 'webgpu-hint')}`);
    return;
  }
  copyRunInputs(run);
  // as checkpoints are published
  cutToBfloat16(join(run, 'dit.safetensors'));
  await dropRun(page, run);
  await page.click('#webgpu');
  await setValue(page, 'learning_rate', '2e-4');
  await setValue(page, 'max_train_steps', '3');
  const before = await gpuContexts(browser);
  await page.click('#start');
  await followRows(page, 1);
  const during = await gpuContexts(browser);
  await followRun(page);
  const status = await textOf(page, 'status');
  holds(`the status is "${status}"`, status.startsWith('Finished after 3 steps.'));
  holds('the runtime does not name WebGPU', /on WebGPU\./.test(await textOf(page, 'messages')));

  const grown = [...during.keys()].filter((id) => during.get(id) > (before.get(id) ?? 0));
  holds(`${grown.length} processes have taken a context on the graphics card`, grown.length === 1);
  const isFreed = async () => {
    const after = await gpuContexts(browser);
    return grown.every((id) => (after.get(id) ?? 0) <= (before.get(id) ?? 0));
  };
  // a thread that was ended takes a moment to go
  let freed = await isFreed();
  for (let tries = 0; tries < 50 && !freed; tries++) {
    await wait(100);
    freed = await isFreed();
  }
  holds('the context on the graphics card stays after the run', freed);
  await compareRun(page, { run, downloads, holds, tolerance: tolerances.webgpu });
}

/** Losses in the table and the downloaded LoRA, with what Node.js makes of the same run. */
async function compareRun(page, { run, downloads, holds, tolerance }) {
  const losses = await page.$$eval('#rows tr', (rows) => rows.map((row) => Number(row.cells[2].textContent)));
  const path = await download(page, downloads);
  const expected = await runInNode(page, run);
  const difference = largestDifference(losses, expected.losses);
  holds(`losses in the table differ from those of Node.js by ${difference}`, difference <= tolerance);
  await compareAdapters(path, expected.path, holds, tolerance);
}

async function compareAdapters(path, expectedPath, holds, tolerance) {
  const problems = tensorProblems(path, expectedPath, 2 * tolerance);
  holds(`the LoRA and that of Node.js: ${problems.join('; ')}`, problems.length === 0);
  const [actual, expected] = [readFloats(path), readFloats(expectedPath)];
  const distance = norm(actual.map((value, i) => value - expected[i])) / norm(expected);
  holds(`the LoRA is ${distance} of itself away from that of Node.js`, distance <= tolerance);
}

/** All values of a float32 safetensors file. */
function readFloats(path) {
  const bytes = readFileSync(path);
  const data = bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)));
  return new Float32Array(new Uint8Array(data).buffer);
}

const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** Relative to `expected`. */
const largestDifference = (actual, expected) =>
  actual.length === expected.length
    ? Math.max(...actual.map((value, i) => Math.abs(value - expected[i]) / Math.abs(expected[i])))
    : Infinity;

async function useKeyboard({ browser, folder, holds, url, screenshot }) {
  const downloads = join(folder, 'downloads-keyboard');
  const page = await openPage(browser, url, { downloads });
  const first = await tabTo(page, 'network_dim');
  holds(`Tab goes through ${first}`, first.join() === 'checkpoint,folder,caches');
  // Tab selects what is in a field
  await page.keyboard.press('Tab');
  await page.keyboard.type('2e-4');
  await page.keyboard.press('Tab');
  await page.keyboard.type('400');
  const rest = await tabTo(page, 'start');
  holds(`Tab goes on through ${rest}`, rest.join() === 'seed,wasm,SUMMARY');
  await page.keyboard.press('Enter');
  // enough for a picture of a curve
  const least = screenshot ? 40 : 3;
  await followRows(page, least);
  holds(`the focus is on ${await focusedId(page)} during a run`, (await focusedId(page)) === 'stop');
  if (screenshot) await takeScreenshot(page);
  await page.keyboard.press('Enter');
  await followRun(page);
  const [, steps] = /^Stopped after (\d+) steps\. The LoRA so far is below/.exec(await textOf(page, 'status')) ?? [];
  holds(`the status is "${await textOf(page, 'status')}"`, Number(steps) >= 3);
  holds(`the focus is on ${await focusedId(page)} at the end`, (await focusedId(page)) === 'results-title');
  await tabTo(page, '', 1).catch(() => {});
  const link = await page.evaluate(() => document.activeElement.textContent);
  holds(
    `behind the title comes ${link}`,
    link === `Download my_lora-step${String(steps).padStart(8, '0')}.safetensors`,
  );

  const path = await download(page, downloads);
  const run = join(folder, 'run-keyboard');
  cpSync(join(project, 'public', 'sample'), run, { recursive: true });
  const shown = await textOf(page, 'command');
  holds(
    `the command is "${shown}"`,
    shown.includes(' --learning_rate 2e-4 ') && shown.includes(' --max_train_steps 400 '),
  );
  const command = shown.replace('--max_train_steps 400', `--max_train_steps ${steps}`);
  await page.$eval('#command', (element, text) => (element.textContent = text), command);
  const expected = await runInNode(page, run);
  await compareAdapters(path, expected.path, holds, tolerances.wasm);
}

async function takeScreenshot(page) {
  const path = join(project, 'screenshot.png');
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path, fullPage: true });
  console.log(`  screenshot.png: ${statSync(path).size} bytes`);
}

async function makeMistakes({ browser, holds, url }) {
  const page = await openPage(browser, url);
  await setValue(page, 'network_dim', 'eight');
  await setValue(page, 'learning_rate', '');
  await page.click('#start');
  await page.waitForFunction(() => document.getElementById('error').childElementCount > 0);
  const text = await textOf(page, 'error');
  holds(
    `the error is "${text}"`,
    /network_dim eight: expected a whole number/.test(text) && /learning_rate/.test(text),
  );
  holds(
    'the field is not marked',
    await page.$eval('#network_dim', (input) => input.getAttribute('aria-invalid') === 'true'),
  );
  holds('the error has no focus', (await focusedId(page)) === 'error');
  await page.click('#error a');
  holds('the link leads to the field', (await focusedId(page)) === 'network_dim');
  holds('a worker was started', page.workers().length === 0);
  // one that only shows while the run is under way
  await setValue(page, 'network_dim', '8');
  await setValue(page, 'learning_rate', '1e30');
  await page.click('#start');
  await followRun(page);
  const later = await textOf(page, 'error');
  holds(`the error is "${later}"`, /^NON_FINITE_\w+: .*Lower --learning_rate/.test(later));
  holds('the worker is still there', page.workers().length === 0);
}

async function dropPictures({ browser, folder, holds, url }) {
  const pictures = join(folder, 'pictures');
  mkdirSync(pictures);
  writeFileSync(join(pictures, 'cat.png'), '');
  writeFileSync(join(pictures, 'cat.txt'), 'a cat');
  const page = await openPage(browser, url);
  await dropPaths(page, [pictures]);
  await page.waitForFunction(() => !document.getElementById('missing').hidden);
  const text = await textOf(page, 'missing');
  holds(
    `the page says "${text}"`,
    /cannot encode pictures.*cat_WIDTHxHEIGHT_wan\.safetensorscat_wan_te\.safetensors$/s.test(text),
  );
  await page.click('#start');
  await followRun(page);
  const error = await textOf(page, 'error');
  holds(`the error is "${error}"`, /NO_TRAINING_ITEMS|NO_DATASETS/.test(error));
}

async function checkAccessibility({ browser, holds, url }) {
  const axe = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');
  for (const scheme of ['light', 'dark']) {
    const page = await openPage(browser, url, { scheme });
    const problems = async () => {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
    };
    const before = await problems();
    holds(`${scheme}, at the start: ${before.join('; ')}`, before.length === 0);
    await page.$$eval('details', (all) => all.forEach((details) => (details.open = true)));
    await setValue(page, 'max_train_steps', '3');
    await page.click('#start');
    await followRun(page);
    await setValue(page, 'seed', 'none');
    await page.click('#start');
    await page.waitForFunction(() => document.getElementById('error').childElementCount > 0);
    const after = await problems();
    holds(`${scheme}, after a run and a mistake: ${after.join('; ')}`, after.length === 0);
    await page.close();
  }
}

async function goOffline({ browser, built, holds }) {
  const server = await servePage(built, { isolated: false });
  const page = await openPage(browser, server.url);
  try {
    await page.waitForFunction(
      () => /now works without a network/.test(document.getElementById('offline')?.textContent ?? ''),
      { timeout: 120_000 },
    );
  } finally {
    await server.close();
  }
  await page.reload();
  await page.waitForFunction(() => !document.getElementById('start').disabled);
  const text = await textOf(page, 'capabilities');
  holds('the page does not say why there is one thread', /threads on the processor: noOne thread is used/.test(text));
  await setValue(page, 'max_train_steps', '2');
  await page.click('#start');
  await followRun(page);
  const status = await textOf(page, 'status');
  holds(`the status is "${status}"`, status.startsWith('Finished after 2 steps.'));
  holds('the runtime says its threads', /WASM, threads: 1\./.test(await textOf(page, 'messages')));
}

await runAsScript(import.meta.url, 'the page of examples/browser', () =>
  pageTests({
    screenshot: process.argv.includes('--screenshot'),
    only: process.argv.slice(2).find((word) => !word.startsWith('--')) ?? '',
  }),
);
