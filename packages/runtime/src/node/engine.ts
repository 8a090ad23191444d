import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { RuntimeError } from '../error.ts';

/** The version of onnxruntime-node that this package is measured and tested with. */
export const engineVersion = '1.30.0';

export interface Engine {
  /** File that `require` loads. */
  readonly path: string;
  /** From its package.json, where that can be read. */
  readonly version: string | undefined;
}

/**
 * Finds onnxruntime-node: beside this package, else from the current folder (there the command that an error advises
 * has put it, also when this package runs from npx's cache).
 *
 * @throws {RuntimeError} `ENGINE_MISSING`
 */
export function findEngine(folder: string = process.cwd()): Engine {
  for (const from of [import.meta.url, join(folder, 'package.json')]) {
    const { resolve } = createRequire(from);
    try {
      return { path: resolve('onnxruntime-node'), version: readVersion(resolve) };
    } catch (error) {
      if (!isNotFound(error)) throw loadError(error);
    }
  }
  throw new RuntimeError(
    'ENGINE_MISSING',
    `onnxruntime-node is not installed (looked beside @musubi/runtime and in ${folder}).`,
    installRemedy(process.platform, process.arch),
  );
}

function readVersion(resolve: (request: string) => string): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(resolve('onnxruntime-node/package.json'), 'utf8')) as {
      version?: unknown;
    };
    return typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The one command that mends a missing engine. Its post-install step fetches CUDA libraries on Linux x64 and fails the
 * whole installation where it cannot, so it is left out; Windows shells do not know the form and do not need it.
 */
export function installRemedy(platform: string, arch: string): string {
  const command = `npm i onnxruntime-node@${engineVersion}`;
  if (platform === 'darwin' && arch === 'x64') return noIntelMac;
  return `Install it with: ${platform === 'win32' ? command : `ONNXRUNTIME_NODE_INSTALL=skip ${command}`}`;
}

const noIntelMac =
  `onnxruntime-node ${engineVersion} has no binary for Macs with Intel processors: ` +
  'use a Mac with Apple silicon, Linux or Windows.';

/** Platforms with a binary in the package. */
const platforms = ['linux x64', 'linux arm64', 'darwin arm64', 'win32 x64', 'win32 arm64'];

/** Why the module cannot be loaded, from what `require` threw. */
export function loadError(
  error: unknown,
  platform: string = process.platform,
  arch: string = process.arch,
): RuntimeError {
  const message = error instanceof Error ? error.message : String(error);
  if (isNotFound(error) && message.includes('onnxruntime_binding.node')) {
    return new RuntimeError(
      'ENGINE_UNSUPPORTED_PLATFORM',
      `onnxruntime-node has no binary for ${platform} ${arch}, only for ${platforms.join(', ')}.`,
      platform === 'darwin' ? noIntelMac : 'Use one of those, with a Node.js built for it.',
      {},
      { cause: error },
    );
  }
  const remedy = isNotFound(error)
    ? installRemedy(platform, arch)
    : 'Install it anew; on Linux it needs glibc (not Alpine) and libstdc++ of GCC 11 or later.';
  return new RuntimeError(
    'ENGINE_LOAD_FAILED',
    `onnxruntime-node cannot be loaded: ${message}.`,
    remedy,
    {},
    { cause: error },
  );
}

const isNotFound = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND');
