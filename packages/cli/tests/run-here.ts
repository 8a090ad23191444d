import { readFile } from 'node:fs/promises';

import { runCli } from '../src/run-cli.ts';

/** Runs the program in this process, as it is but for signals. */
export async function runHere(argv: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCli(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    environment: {},
    readText: (file) => readFile(file, 'utf8'),
    loadTrainer: () => import('@musubi/trainer/node'),
    onInterrupt: () => () => {},
    exitAtOnce: () => {},
  });
  return { code, stdout, stderr };
}
