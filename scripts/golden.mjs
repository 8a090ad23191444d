// `node scripts/golden.mjs [FOLDER]`: only the tests that read golden vectors, from FOLDER (relative to the repository).
// Those are the test files that import tests/golden.ts, directly or through other files.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { installWorkspace } from './lib/package-managers.mjs';
import { step, summarize } from './lib/run.mjs';
import { runVitest } from './lib/vitest.mjs';
import { root } from './lib/workspace.mjs';

/** These run the program on a recorded run, or look at its graphs, and compare with none of its numbers: once is enough. */
const withoutNumbers = [
  'packages/cli/tests/faults.test.ts',
  'packages/cli/tests/old-command-lines-run.test.ts',
  'packages/cli/tests/wrong-files.test.ts',
  'packages/trainer/tests/artifacts-disk.golden.test.ts',
  'packages/trainer/tests/cuda-graph.golden.test.ts',
  'packages/trainer/tests/estimate.golden.test.ts',
  'packages/trainer/tests/graph-quality.golden.test.ts',
  'packages/trainer/tests/run-artifacts.golden.test.ts',
  'packages/trainer/tests/run-webgpu.golden.test.ts',
];

const folder = process.argv[2] ?? 'golden';
if (!existsSync(resolve(root, folder))) {
  console.error(`${folder} does not exist. Give the folder of golden vectors, relative to the repository.`);
  process.exit(2);
}
const steps = [await step('install', installWorkspace)];
if (steps[0].failed === 0) {
  const env = { ...process.env, MUSUBI_GOLDEN: folder, MUSUBI_TEST_EXCLUDE: withoutNumbers.join(',') };
  const tests = () => runVitest(['related', '--run', 'tests/golden.ts'], env);
  steps.push(await step(`golden tests of ${folder}`, tests));
}
summarize(steps);
