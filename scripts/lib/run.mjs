// Running programs and saying how it went.
import { spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { root } from './workspace.mjs';

/**
 * Runs `node script ...args` and waits. Output goes to this terminal unless `capture` is set.
 *
 * Only node itself is ever started, never a `.cmd` file or a shell: the same call works on Windows.
 */
export function runNode(script, args, { cwd = root, env = process.env, capture = false } = {}) {
  const { status, signal, error, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    cwd,
    env,
    stdio: capture ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (error) throw error;
  return { ok: status === 0, status: status ?? signal, stdout: stdout ?? '', stderr: stderr ?? '' };
}

/** Prints a heading, runs `action` (which returns `{ passed, failed }`) and prints the time it took. */
export async function step(title, action) {
  console.log(`\n== ${title}`);
  const start = performance.now();
  let counts;
  try {
    counts = await action();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    counts = { passed: 0, failed: 1 };
  }
  const seconds = (performance.now() - start) / 1000;
  console.log(`-- ${title}: ${counts.failed === 0 ? 'ok' : 'FAILED'} in ${seconds.toFixed(1)} s`);
  return { title, seconds, ...counts };
}

/** The table of all steps and, as the last line, `N passed, N failed`. Sets the exit code. */
export function summarize(steps) {
  const width = Math.max(...steps.map(({ title }) => title.length));
  const total = { passed: 0, failed: 0 };
  console.log('');
  for (const { title, seconds, passed, failed } of steps) {
    console.log(`${title.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s  ${countsLine({ passed, failed })}`);
    total.passed += passed;
    total.failed += failed;
  }
  process.exitCode = total.failed === 0 ? 0 : 1;
  console.log(`\n${countsLine(total)}`);
}

export function countsLine({ passed, failed }) {
  return `${passed} passed, ${failed} failed`;
}

/** Counts of a check that either holds or does not. */
export function oneCheck(ok) {
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1 };
}

/** Runs `action` when `url` is the script that node was started with: a file is both a program and a part of `npm test`. */
export async function runAsScript(url, title, action) {
  if (process.argv[1] && pathToFileURL(realpathSync(process.argv[1])).href === url)
    summarize([await step(title, action)]);
}

/** Collects statements about the repository: `holds(problem, ok)` prints the problem when it does not hold. */
export function createChecklist() {
  const counts = { passed: 0, failed: 0 };
  return {
    counts,
    holds(problem, ok) {
      counts[ok ? 'passed' : 'failed']++;
      if (!ok) console.log(`  ${problem}`);
      return ok;
    },
  };
}
