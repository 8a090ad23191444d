import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runPnpm } from './package-managers.mjs';
import { readJson, root } from './workspace.mjs';

/** Runs vitest with `args` and counts its tests; a test file that does not load counts as one failed test. */
export function runVitest(args, env = process.env) {
  const report = join(root, 'node_modules', '.cache', 'musubi', `vitest-${process.pid}.json`);
  mkdirSync(join(report, '..'), { recursive: true });
  const { ok } = runPnpm(
    ['exec', 'vitest', ...args, '--reporter=default', '--reporter=json', `--outputFile=${report}`],
    {
      env,
    },
  );
  if (!existsSync(report)) return { passed: 0, failed: 1 };
  const { numPassedTests, numFailedTests, testResults } = readJson(report);
  rmSync(report);
  const notLoaded = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  const failed = numFailedTests + notLoaded;
  return { passed: numPassedTests, failed: ok ? failed : Math.max(failed, 1) };
}
