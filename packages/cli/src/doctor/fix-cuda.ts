import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { CliError } from '../errors.ts';

/**
 * The one pair on npm of which the CUDA provider has the version of the runtime. Both parts must be of one version, so the
 * runtime's own libraries go back to it as well.
 */
export const cudaPair = {
  runtime: 'onnxruntime-node@1.29.0',
  provider: 'com.github.asus4.onnxruntime.linux-x64-gpu@0.4.9',
  cuda: 13,
} as const;

/** Where each package keeps the libraries that are taken of it. */
const foldersInside = {
  runtime: 'package/bin/napi-v6/linux/x64',
  provider: 'package/Plugins/Linux/x64',
} as const;
const providerFiles = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'];

/** What is asked of the surroundings; tests give their own. */
export interface FixTools {
  /** Unpacks a package of npm into a folder, where it lies in `package`. */
  fetchPackage(spec: string, folder: string): Promise<void>;
  /** Why the runtime does not compute on the CPU, or null. */
  whyUnusable(): Promise<string | null>;
}

/** The folder of the runtime's libraries, from the file of its module. */
export const librariesOf = (enginePath: string): string =>
  join(dirname(enginePath), '..', 'bin', 'napi-v6', 'linux', 'x64');

const kept = (folder: string): string => `${folder}.before-cuda`;

/**
 * Puts CUDA's provider beside the runtime. The new folder is made whole elsewhere and takes the place of the old one, which
 * is kept; when the runtime then does not compute any more, the old one comes back.
 *
 * @throws {CliError} `FIX_FAILED`; nothing is changed then
 */
export async function placeCuda(folder: string, tools: FixTools): Promise<void> {
  if (await exists(kept(folder))) {
    throw new CliError(
      'FIX_FAILED',
      'The CUDA provider was placed before.',
      'Undo it first: musubi doctor --undo cuda',
    );
  }
  const made = await mkdtemp(`${folder}.new-`);
  try {
    for (const part of ['runtime', 'provider'] as const) {
      const unpacked = join(made, part);
      await tools.fetchPackage(cudaPair[part], unpacked);
      const from = join(unpacked, foldersInside[part]);
      const files = part === 'provider' ? providerFiles : await readdir(from);
      for (const file of files) await cp(join(from, file), join(made, 'x64', file));
    }
    await rename(folder, kept(folder));
    await rename(join(made, 'x64'), folder).catch(async (error) => {
      await rename(kept(folder), folder);
      throw error;
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    const remedy = 'npm must reach its registry, and the folder of onnxruntime-node be writable.';
    throw new CliError('FIX_FAILED', `The CUDA provider was not placed: ${why}.`, remedy, { cause });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  const why = await tools.whyUnusable();
  if (why === null) return;
  await removeCuda(folder);
  throw new CliError('FIX_FAILED', `With it ONNX Runtime does not run: ${why}.`, 'All is as it was. Please report it.');
}

/** @throws {CliError} `FIX_FAILED` when it was never placed */
export async function removeCuda(folder: string): Promise<void> {
  if (!(await exists(kept(folder)))) {
    throw new CliError('FIX_FAILED', 'There is nothing to undo.', 'The CUDA provider was not placed by musubi doctor.');
  }
  const old = `${folder}.old`;
  await rename(folder, old);
  await rename(kept(folder), folder);
  await rm(old, { recursive: true, force: true });
}

/** `npm pack` checks what it downloads against the registry's hash, and runs no script of a package. */
export async function fetchWithNpm(spec: string, folder: string): Promise<void> {
  const run = promisify(execFile);
  await mkdir(folder, { recursive: true });
  const { stdout } = await run('npm', ['pack', spec, '--silent', '--pack-destination', folder], { maxBuffer: 2 ** 26 });
  const name = stdout.trim().split('\n').at(-1) ?? '';
  await run('tar', ['-xzf', join(folder, name), '-C', folder]);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
