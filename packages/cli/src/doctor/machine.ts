import {
  type Engine,
  type ProviderProbe,
  findEngine,
  listProviders,
  probeProvider,
  machineMemory,
} from '@musubi/runtime/node';

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rmdir, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, release, totalmem } from 'node:os';
import { join } from 'node:path';

import { libraryVersion } from './library-version.ts';

/** What is looked at of a machine; tests give their own. */
export interface Machine {
  readonly nodeVersion: string;
  readonly platform: string;
  readonly arch: string;
  /** Of the operating system. */
  readonly release: string;
  /** Version of glibc; null elsewhere than on Linux, and where another library stands in its place. */
  readonly glibc: string | null;
  readonly processor: string;
  readonly processors: number;
  /** That this process may use. */
  readonly allowedProcessors: number;
  readonly memoryBytes: number;
  /** Less than all of it in a container with a limit. */
  readonly allowedMemoryBytes: number;
  readonly freeMemoryBytes: number;
  /** The working folder. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Null where there is no file, or none that may be read. */
  readText(path: string): Promise<string | null>;
  /** Names in a folder; none where there is no folder. */
  list(folder: string): Promise<readonly string[]>;
  /** What a program prints; null where it is missing or fails. */
  run(program: string, args: readonly string[]): Promise<string | null>;
  /** Of a library of ONNX Runtime for Linux; null where it is missing or does not say. */
  libraryVersion(path: string): Promise<string | null>;
  disk(folder: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number } | null>;
  /** Null, or why not. */
  whyNotWritable(folder: string): Promise<string | null>;
  /** @throws {RuntimeError} `ENGINE_MISSING` */
  findEngine(): Engine;
  /** @throws {RuntimeError} `ENGINE_LOAD_FAILED`, `ENGINE_UNSUPPORTED_PLATFORM` */
  listProviders(enginePath: string): Promise<readonly string[]>;
  probeProvider(provider: string, enginePath: string): Promise<ProviderProbe>;
}

export function thisMachine(): Machine {
  return {
    nodeVersion: process.versions.node,
    platform: process.platform,
    arch: process.arch,
    release: release(),
    glibc: glibcVersion(),
    processor: cpus()[0]?.model.trim() ?? '',
    processors: cpus().length,
    allowedProcessors: availableParallelism(),
    memoryBytes: totalmem(),
    allowedMemoryBytes: machineMemory(),
    freeMemoryBytes: process.availableMemory?.() ?? freemem(),
    folder: process.cwd(),
    environment: process.env,
    readText: (path) => readFile(path, 'utf8').catch(() => null),
    list: (folder) => readdir(folder).catch(() => []),
    run,
    libraryVersion,
    disk: (folder) =>
      statfs(folder).then(
        ({ bavail, blocks, bsize }) => ({ freeBytes: bavail * bsize, totalBytes: blocks * bsize }),
        () => null,
      ),
    whyNotWritable: (folder) =>
      mkdtemp(join(folder, '.musubi-'))
        .then(rmdir)
        .then(
          () => null,
          (error) => (error instanceof Error ? error.message : String(error)),
        ),
    findEngine: () => findEngine(),
    listProviders: (enginePath) => listProviders({ enginePath }),
    probeProvider: (provider, enginePath) => probeProvider(provider, { enginePath }),
  };
}

function run(program: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const options = { timeout: 20_000, windowsHide: true, env: { ...process.env, LC_ALL: 'C' } };
    // ldd exits with 1 for some files that it reads all the same
    execFile(program, args, options, (error, stdout) => resolve(error && stdout === '' ? null : stdout));
  });
}

function glibcVersion(): string | null {
  if (process.platform !== 'linux') return null;
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: unknown } };
  return typeof header?.glibcVersionRuntime === 'string' ? header.glibcVersionRuntime : null;
}
