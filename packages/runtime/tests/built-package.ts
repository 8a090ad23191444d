import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { build } from 'esbuild';

export const packageFolder = fileURLToPath(new URL('..', import.meta.url));

/** The package as it is built for release, with the same entries, in another folder. */
export async function buildPackage(folder: string): Promise<void> {
  await build({
    entryPoints: ['index', 'node', 'worker'].map((entry) => join(packageFolder, 'src', `${entry}.ts`)),
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
    external: ['node:*'],
    conditions: ['@musubi/source'],
    mainFields: ['module', 'main'],
  });
}

export interface Ended {
  /** Exit status, or the signal that ended it. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs an ES module in a Node process of its own; `createNodeRuntime` is that of the built package. */
export function runScript(built: string, cwd: string, script: string): Promise<Ended> {
  const entry = JSON.stringify(pathToFileURL(join(built, 'node.js')).href);
  const code = `import { createNodeRuntime } from ${entry};\n${script}`;
  return new Promise((resolve) => {
    // far more than it takes: a process that hangs is killed, and its status says so
    const env = { ...process.env, NODE_PATH: '' }; // pnpm's own, which leads to all packages of the repository
    const options = { cwd, env, timeout: 25_000, killSignal: 'SIGKILL' } as const;
    execFile(process.execPath, ['--input-type=module', '--eval', code], options, (error, stdout, stderr) => {
      resolve({ status: error ? (error.signal ?? error.code ?? 'unknown') : 0, stdout, stderr });
    });
  });
}
