import { spawn } from 'node:child_process';
import { root } from './workspace.mjs';

/**
 * Runs scripts that end with a line `N passed, N failed`, all at once, each in a process of its own.
 *
 * @returns for each script a function that waits for it, prints what it printed and gives its counts: output of one is
 *   not mixed with that of another
 */
export function startSideBySide(scripts) {
  return scripts.map((args) => {
    const ended = runCaptured(args);
    return async () => {
      const { output, code } = await ended;
      process.stdout.write(output);
      const [, passed, failed] = /^(\d+) passed, (\d+) failed\s*$/m.exec(output.trimEnd().split('\n').at(-1)) ?? [];
      if (passed === undefined) return { passed: 0, failed: 1 };
      const isAsSaid = (code === 0) === (Number(failed) === 0);
      return { passed: Number(passed), failed: Number(failed) + (isAsSaid ? 0 : 1) };
    };
  });
}

function runCaptured(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => resolve({ output: `${error.message}\n`, code: 1 }));
    child.on('close', (code) => resolve({ output: Buffer.concat(chunks).toString(), code }));
  });
}
