// npm and pnpm as scripts for node, so that no shell and no global installation is needed.
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { runNode } from './run.mjs';
import { readJson, root, rootManifest } from './workspace.mjs';

const pnpmVersion = rootManifest.packageManager.split('@')[1];
const pnpmFolder = join(root, 'node_modules', '.cache', `pnpm-${pnpmVersion}`);

/** Path of npm's own script: the npm that runs us, else the one beside node, else the one on PATH. */
export function npmScript() {
  const running = process.env.npm_execpath;
  const beside = [
    join(dirname(process.execPath), 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(dirname(process.execPath), '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ];
  const candidates = [running, ...beside, ...npmOnPath()];
  const found = candidates.find((path) => path && basename(path) === 'npm-cli.js' && existsSync(path));
  if (!found) throw new Error('npm was not found beside node or on PATH. Install Node.js 20.19 or later with its npm.');
  return found;
}

/** On Linux and macOS `npm` on PATH is a link to npm-cli.js; on Windows npm-cli.js lies below the folder of npm.cmd. */
function npmOnPath() {
  return (process.env.PATH ?? '').split(delimiter).flatMap((folder) => {
    const link = join(folder, 'npm');
    const script = join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js');
    return existsSync(link) ? [realpathSync(link), script] : [script];
  });
}

export function runNpm(args, options) {
  return runNode(npmScript(), args, options);
}

/** Installs the pnpm version that package.json names into node_modules/.cache, once. */
export function ensurePnpm() {
  const installed = join(pnpmFolder, 'node_modules', 'pnpm', 'package.json');
  if (existsSync(installed) && readJson(installed).version === pnpmVersion) return;
  console.log(`getting pnpm ${pnpmVersion} through npm, for this folder only`);
  mkdirSync(pnpmFolder, { recursive: true });
  writeFileSync(join(pnpmFolder, 'package.json'), '{ "private": true }\n');
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', `pnpm@${pnpmVersion}`];
  if (!runNpm(args, { cwd: pnpmFolder }).ok) {
    throw new Error(
      `npm could not install pnpm ${pnpmVersion}. Check the network, proxy and registry settings of npm.`,
    );
  }
}

/** Runs pnpm; `exec NAME` runs a tool of the repository. */
export function runPnpm(args, { env = process.env, ...options } = {}) {
  const manifest = readJson(join(pnpmFolder, 'node_modules', 'pnpm', 'package.json'));
  const script = join(pnpmFolder, 'node_modules', 'pnpm', manifest.bin.pnpm);
  return runNode(script, args, { ...options, env: environment(env) });
}

/** `pnpm install` of exactly what the lock file says, without the CUDA download of onnxruntime-node. */
export function installWorkspace() {
  ensurePnpm();
  if (!runPnpm(['install', '--frozen-lockfile', '--prefer-offline', '--reporter=append-only']).ok) {
    throw new Error('pnpm install failed; its message stands above.');
  }
  return { passed: 0, failed: 0 };
}

/** Our pnpm first on PATH (turbo starts it by name), no CUDA libraries, no telemetry, colours for terminals only. */
function environment(env) {
  const pathName = Object.keys(env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  const pnpmBin = join(pnpmFolder, 'node_modules', '.bin');
  return {
    ...env,
    [pathName]: [pnpmBin, env[pathName] ?? ''].join(delimiter),
    ONNXRUNTIME_NODE_INSTALL: 'skip',
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }),
  };
}
