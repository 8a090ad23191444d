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
  const { startSideBySide } = await import('./lib/side-by-side.mjs');

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
  // each of these keeps one core busy at most: the page's graphics card is one thread, the others wait for npm
  const [page, ...packed] = startSideBySide([
    ['examples/browser/tests/page-test.mjs'],
    ...(isBuilt ? [['scripts/pack-and-run.mjs'], ['scripts/release-rehearse.mjs', '--pure']] : []),
  ]);
  await run('the page of examples/browser', page);
  if (isBuilt) await run('packed packages, installed elsewhere', packed[0]);
  if (isBuilt) await run('rehearsal of a release, pure packages', packed[1]);
}
summarize(steps);
