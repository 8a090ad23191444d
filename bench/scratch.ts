import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const patience = { recursive: true, force: true, maxRetries: 20, retryDelay: 250 } as const;

/** Removes a folder as soon as the process that started it is gone, however that ended. */
const janitor = `
  process.stdin.resume().once('close', () => {
    require('node:fs').rmSync(process.argv[1], ${JSON.stringify(patience)});
  });
`;

/**
 * Gives an action a new folder, in `MUSUBI_BENCH_FOLDER` if set, that does not outlive this process: what a bench writes
 * there may be tens of gigabytes, and a bench that takes long is one that gets killed.
 */
export async function inScratchFolder<T>(action: (folder: string) => Promise<T>): Promise<T> {
  const parent = process.env['MUSUBI_BENCH_FOLDER'] ?? tmpdir();
  const folder = await mkdtemp(join(parent, `musubi-bench-${process.pid}-`));
  // In a group of its own: Ctrl-C, or `timeout`, ends the group of this process.
  const args = ['--eval', janitor, folder];
  const watching = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  try {
    return await action(folder);
  } finally {
    watching.stdin?.end();
    if (watching.exitCode === null && watching.signalCode === null) await once(watching, 'exit');
    await rm(folder, patience);
  }
}

/** Ends a process whose standard input is a pipe from another one when that is gone. */
export function endWithParent(): void {
  const { stdin } = process;
  stdin.once('close', () => process.kill(process.pid, 'SIGKILL')).resume();
  if ('unref' in stdin) stdin.unref();
}
