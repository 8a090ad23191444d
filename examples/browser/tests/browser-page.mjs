// The built page in Chromium.
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { servePages } from '../../../scripts/lib/page-server.mjs';

/** Serves the build below `/page/`, as a host would serve it in a folder. */
export async function servePage(built, { isolated = true } = {}) {
  const pages = { '/page/': readFileSync(join(built, 'index.html'), 'utf8') };
  const server = await servePages({ folders: { page: built }, pages, isolated });
  return { ...server, url: `${server.url}/page/` };
}

/** Opens the page with a browser context of its own, so that it keeps nothing from other tests. */
export async function openPage(browser, url, { downloads, scheme = 'light' } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport({ width: 1000, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  page.on('pageerror', (error) => console.log(`  page: ${error.message}`));
  if (downloads) {
    mkdirSync(downloads, { recursive: true });
    const session = await page.createCDPSession();
    const { targetInfo } = await session.send('Target.getTargetInfo');
    const browserContextId = targetInfo.browserContextId;
    const whole = await browser.target().createCDPSession();
    const setting = { behavior: 'allow', browserContextId, downloadPath: downloads };
    await whole.send('Browser.setDownloadBehavior', setting);
  }
  await page.goto(url);
  // pages behind others are not drawn
  await page.bringToFront();
  await page.waitForFunction(() => !document.getElementById('start').disabled, { timeout: 60_000 });
  return page;
}

export const textOf = (page, id) => page.$eval(`#${id}`, (element) => element.textContent);

export async function setValue(page, id, value) {
  await page.$eval(
    `#${id}`,
    (input, text) => {
      input.value = text;
    },
    value,
  );
}

/** As a user who lets go of files or folders over the page. */
export async function dropPaths(page, paths) {
  const session = await page.createCDPSession();
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await session.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  }
  await session.detach();
}

/** Waits until the table of losses has `least` rows. */
export async function followRows(page, least, { timeout = 240_000 } = {}) {
  await page.waitForFunction((count) => document.querySelectorAll('#rows tr').length >= count, { timeout }, least);
}

/** Waits until the run has ended; gives the lengths that the curve had on the way. */
export async function followRun(page, { timeout = 240_000 } = {}) {
  const lengths = [];
  const end = Date.now() + timeout;
  for (;;) {
    const { points, isRunning } = await page.evaluate(() => ({
      points: (document.querySelector('#curve .loss').getAttribute('d') ?? '').split('L').filter(Boolean).length,
      isRunning: document.getElementById('start').disabled,
    }));
    if (points !== lengths.at(-1)) lengths.push(points);
    if (!isRunning) return lengths;
    if (Date.now() > end) throw new Error(`the run takes more than ${timeout} ms: ${await textOf(page, 'status')}`);
    await wait(20);
  }
}

/** Follows the first link below Results; gives the path of the file. */
export async function download(page, folder) {
  const name = await page.$eval('#results a', (link) => link.download);
  await page.$eval('#results a', (link) => link.click());
  const path = join(folder, name);
  for (let tries = 0; tries < 500 && !existsSync(path); tries++) await wait(20);
  if (!existsSync(path)) throw new Error(`${name} was not downloaded; there is ${readdirSync(folder)}`);
  return path;
}

/** Presses Tab until an element has the focus; gives the names of those that had it before. */
export async function tabTo(page, id, most = 40) {
  const passed = [];
  for (let i = 0; i < most; i++) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => document.activeElement.id || document.activeElement.tagName);
    if (focused === id) return passed;
    passed.push(focused);
  }
  throw new Error(`Tab does not reach ${id}, only ${passed.join(', ')}`);
}

export const focusedId = (page) => page.evaluate(() => document.activeElement.id);
