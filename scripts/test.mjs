// `npm test`: everything that is checked, on a clone with nothing but Node.js. The last line is `N passed, N failed`.
import { installWorkspace, runPnpm } from './lib/package-managers.mjs';
import { oneCheck, step, summarize } from './lib/run.mjs';
import { runVitest } from './lib/vitest.mjs';

const steps = [];

/** Runs one step; all later steps run too, so that one call shows everything that is wrong. */
async function run(title, action) {
  const done = await step(title, action);
  steps.push(done);
  return done.failed === 0;
}

function runTool(...args) {
  return oneCheck(runPnpm(['exec', ...args]).ok);
}

if (await run('install', installWorkspace)) {
  // these import what the installation brings
  const { browserTests } = await import('./browser-test.mjs');
  const { checkContributing } = await import('./check-contributing.mjs');
  const { checkDist } = await import('./check-dist.mjs');
  const { checkDocs } = await import('./docs-check.mjs');
  const { checkPackages } = await import('./check-packages.mjs');
  const { checkWorkflows } = await import('./check-workflows.mjs');
  const { pageTests } = await import('../examples/browser/tests/page-test.mjs');
  const { packAndRun } = await import('./pack-and-run.mjs');
  const { rehearse } = await import('./release-rehearse.mjs');

  await run('format', () => runTool('oxfmt', '--check', '.'));
  await run('lint', () => runTool('oxlint', '--quiet'));
  await run('types', () => runTool('tsc', '--noEmit', '-p', 'tsconfig.json'));
  const isBuilt = await run('build', () => runTool('turbo', 'run', 'build', '--output-logs=errors-only'));
  await run('packages', checkPackages);
  await run('workflows', checkWorkflows);
  await run('files that the documents name', checkContributing);
  await run('workspace', () => runTool('sherif'));
  await run('unused files, exports and dependencies', () => runTool('knip'));
  if (isBuilt) await run('built entries', checkDist);
  await run('documentation examples', () => checkDocs());
  await run('unit and golden tests', () => runVitest(['run']));
  await run('browser tests', () => browserTests());
  await run('the page of examples/browser', () => pageTests());
  if (isBuilt) await run('packed packages, installed elsewhere', packAndRun);
  if (isBuilt) await run('rehearsal of a release, pure packages', () => rehearse({ onlyPure: true }));
}
summarize(steps);
