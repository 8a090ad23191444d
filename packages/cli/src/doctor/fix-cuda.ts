import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
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

/** Of the files that npm has of them, as `npm view SPEC dist.integrity` says. */
const integrities = {
  runtime: 'sha512-WjiVVB72riILz8HbYvxvmjKyE/WmkYoSfKY++axo5jAR609HQg8MwiG/HhShpTcJfmmAdzxxmB+MMST3A+SiPA==',
  provider: 'sha512-FopIhNE/Ng+v2X65wVc9clPCBCvhvA53Hxo2U0Kf5fGdVsC7iCA+mZ0KLWggcQAj7TIZ6pNidR4AC10g74Xo6w==',
} as const;

/** Where each package keeps the libraries that are taken of it. */
const foldersInside = {
  runtime: 'package/bin/napi-v6/linux/x64',
  provider: 'package/Plugins/Linux/x64',
} as const;
const providerFiles = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'];

/** What is asked of the surroundings; tests give their own. */
export interface FixTools {
  /** Unpacks a package of npm whose file has that hash into a folder, where it lies in `package`. */
  fetchPackage(spec: string, folder: string, integrity: string): Promise<void>;
  /** Why the runtime does not compute on the CPU, or null. */
  whyUnusable(): Promise<string | null>;
}

/** The folder of the runtime's libraries, from the file of its module. */
export const librariesOf = (enginePath: string, { platform, arch } = { platform: 'linux', arch: 'x64' }): string =>
  join(dirname(enginePath), '..', 'bin', 'napi-v6', platform, arch);

const kept = (folder: string): string => `${folder}.before-cuda`;
const unfinished = (folder: string): string => `${folder}.new-`;

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
  await removeUnfinished(folder);
  const made = await mkdtemp(unfinished(folder));
  try {
    for (const part of ['runtime', 'provider'] as const) {
      const unpacked = join(made, part);
      await tools.fetchPackage(cudaPair[part], unpacked, integrities[part]);
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

/** What a program that was stopped has left: hundreds of megabytes. */
async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(dirname(folder))) {
    const path = join(dirname(folder), name);
    if (path.startsWith(unfinished(folder))) await rm(path, { recursive: true, force: true });
  }
}

/** @throws {CliError} `FIX_FAILED` when it was never placed */
export async function removeCuda(folder: string): Promise<void> {
  if (!(await exists(kept(folder)))) {
    throw new CliError('FIX_FAILED', 'There is nothing to undo.', 'The CUDA provider was not placed by musubi doctor.');
  }
  const old = `${folder}.old`;
  // a program that ended in the middle leaves the old folder, or no folder
  await rm(old, { recursive: true, force: true });
  if (await exists(folder)) await rename(folder, old);
  await rename(kept(folder), folder);
  await rm(old, { recursive: true, force: true });
}

/** Libraries that run in this process: the file must be the one that was looked at, whatever registry npm asks. No script runs. */
export async function fetchWithNpm(spec: string, folder: string, integrity: string): Promise<void> {
  const run = promisify(execFile);
  await mkdir(folder, { recursive: true });
  const { stdout } = await run('npm', ['pack', spec, '--silent', '--pack-destination', folder], { maxBuffer: 2 ** 26 });
  const file = join(folder, stdout.trim().split('\n').at(-1) ?? '');
  await assertIntegrity(file, spec, integrity);
  await run('tar', ['-xzf', file, '-C', folder]);
}

/** @param integrity as npm writes it: `sha512-` and the hash in base64 */
export async function assertIntegrity(file: string, spec: string, integrity: string): Promise<void> {
  const [algorithm = '', expected] = integrity.split(/-(.*)/s);
  const hash = createHash(algorithm);
  for await (const bytes of createReadStream(file)) hash.update(bytes as Uint8Array);
  const found = hash.digest('base64');
  if (found !== expected) throw new Error(`${spec} is another file than expected (${algorithm} ${found})`);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
