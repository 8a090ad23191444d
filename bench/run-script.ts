import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Runs a script in a process of its own: JSON request in argv, JSON result on the last line of stdout. */
export async function runScript<Result>(script: URL, request: unknown): Promise<Result> {
  const args = [
    '--import',
    import.meta.resolve('tsx'),
    '--conditions=@musubi/source',
    fileURLToPath(script),
    JSON.stringify(request),
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 20 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result;
}
