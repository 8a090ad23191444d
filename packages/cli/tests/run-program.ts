import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface Finished {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** From the last interruption to the end. */
  readonly endedAfterMs: number;
}

/** A Ctrl-C, sent once this text stands on standard error. */
export interface Interruption {
  readonly after: string;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly interruptions?: readonly Interruption[];
  /** Stop reading what the program prints once this text stands on standard error. */
  readonly deafAfter?: string;
}

/** Resolved here: the program runs in other folders. */
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** Runs a TypeScript file beside this one as a process of its own and waits for its end. */
export function runProgram(file: string, args: readonly string[], options: ProgramOptions = {}): Promise<Finished> {
  const { cwd, environment = {}, interruptions = [], deafAfter } = options;
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, ['--import', tsx, '--conditions=@musubi/source', path, ...args], {
    cwd,
    env: { ...process.env, ...environment },
  });
  const awaited = [...interruptions];
  let [stdout, stderr, interruptedAt] = ['', '', 0];
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
    while (awaited[0] && stderr.includes(awaited[0].after)) {
      awaited.shift();
      interruptedAt = performance.now();
      child.kill('SIGINT');
    }
    if (deafAfter !== undefined && stderr.includes(deafAfter)) {
      child.stdout.destroy();
      child.stderr.destroy();
    }
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ code, signal, stdout, stderr, endedAfterMs: performance.now() - interruptedAt }),
    );
  });
}
