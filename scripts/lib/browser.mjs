// A Chromium without a window: the one of @sparticuz/chromium on Linux, else an installed Chrome or Edge.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './workspace.mjs';

/** Software WebGPU: the same on every machine, and there where no graphics card is. */
const webGpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];

/**
 * WebAssembly is compiled once and fast, not a second time for speed, which takes longer than all that tests compute with
 * it: for ONNX Runtime 12 of 19 seconds. Its arithmetic is the same, bit for bit.
 */
const quickStart = ['--js-flags=--liftoff-only'];

/**
 * Starts a browser that reaches nothing but this machine.
 *
 * @returns the browser of puppeteer-core, or null and the reason why there is none to start
 */
export async function launchBrowser() {
  const found = await findBrowser();
  if (!found.path) return { browser: null, reason: found.reason };
  const { default: puppeteer } = await import('puppeteer-core');
  const browser = await puppeteer.launch({
    executablePath: found.path,
    headless: found.isShell ? 'shell' : true,
    // golden dates are local times of this zone
    env: { ...process.env, TZ: 'UTC', ...found.env },
    // containers forbid what the sandbox needs; the pages are our own
    args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', ...webGpu, ...quickStart],
    protocolTimeout: 1_800_000,
  });
  return { browser, reason: null };
}

async function findBrowser() {
  const chosen = process.env.CHROME_PATH;
  if (chosen) {
    if (existsSync(chosen)) return { path: chosen };
    throw new Error(`CHROME_PATH is ${chosen}, and there is no such file. Correct it, or leave it out.`);
  }
  // the package has programs for these two only
  if (process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)) return unpackChromium();
  const path = installed().find((candidate) => existsSync(candidate));
  return path ? { path } : { reason: 'no Chrome or Edge is installed; install one or name it in CHROME_PATH' };
}

function installed() {
  if (process.platform === 'darwin') {
    const inside = ['Google Chrome', 'Microsoft Edge', 'Chromium'];
    return inside.map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`);
  }
  const folders = [process.env.PROGRAMFILES, process.env['PROGRAMFILES(X86)'], process.env.LOCALAPPDATA];
  const programs = [
    ['Google', 'Chrome', 'Application', 'chrome.exe'],
    ['Microsoft', 'Edge', 'Application', 'msedge.exe'],
  ];
  return folders.flatMap((folder) => (folder ? programs.map((parts) => join(folder, ...parts)) : []));
}

/**
 * Unpacks Chromium below node_modules/.cache, once for a version. The package itself would do so in the folder for
 * temporary files and take a file that another process has half written for a whole one.
 */
async function unpackChromium() {
  const folder = await unpack('chromium', ['chromium.br', 'fonts.tar.br', 'swiftshader.tar.br']);
  return { path: join(folder, 'chromium'), isShell: true, env: { FONTCONFIG_FILE: fontConfig(folder) } };
}

/**
 * Where the fonts lie that come with Chromium. Its own file names other folders, so that no text is drawn, and that Chromium
 * ends where it looks for a sign that no font has.
 */
function fontConfig(folder) {
  const path = join(folder, 'musubi-fonts.conf');
  if (existsSync(path)) return path;
  const fonts = escapeXml(join(folder, 'fonts', 'fonts'));
  const cache = escapeXml(join(folder, 'fonts-cache'));
  const made = `${path}-${process.pid}`;
  writeFileSync(
    made,
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${fonts}</dir>
  <cachedir>${cache}</cachedir>
</fontconfig>
`,
  );
  renameSync(made, path);
  return path;
}

const escapeXml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/**
 * Vulkan in software for programs on Linux x64 without a graphics card, e.g. WebGPU in Node.js.
 *
 * @returns the environment with which a process finds it, or null on other platforms
 */
export async function softwareVulkan() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const folder = await unpack('swiftshader', ['swiftshader.tar.br']);
  return { LD_LIBRARY_PATH: folder, VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json') };
}

async function unpack(name, files) {
  const entry = fileURLToPath(import.meta.resolve('@sparticuz/chromium'));
  const bin = join(dirname(dirname(entry)), 'bin');
  if (!existsSync(bin)) throw new Error(`@sparticuz/chromium has no folder ${bin}. Install it again.`);
  const { version } = JSON.parse(readFileSync(join(dirname(bin), 'package.json'), 'utf8'));
  const folder = join(root, 'node_modules', '.cache', 'musubi', `${name}-${version}-${process.arch}`);
  if (!existsSync(folder)) await unpackInto(folder, bin, files);
  return folder;
}

async function unpackInto(folder, bin, files) {
  const { inflate } = await import('@sparticuz/chromium');
  mkdirSync(dirname(folder), { recursive: true });
  const made = mkdtempSync(`${folder}-`);
  const { TMPDIR } = process.env;
  try {
    // it unpacks into os.tmpdir(), which reads this variable each time
    process.env.TMPDIR = made;
    await Promise.all(files.map((file) => inflate(join(bin, file))));
    renameSync(made, folder);
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    // another process was faster
    if (!existsSync(folder)) throw error;
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
}
