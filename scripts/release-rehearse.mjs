// `pnpm release:rehearse [--pure]`: a release from beginning to end against a registry on this machine. Versions and changelogs are
// made and everything is published from a copy; then strangers with empty folders install it: every package by itself, its README
// example run as printed, pure ones bundled for browsers, all loaded by `require`, all entries type-checked in two TypeScript
// projects, pure ones loaded by a plain page, one-liners in Deno and Bun, the command line through npx, on a recorded run
// and on the quick start's data. Then a small release of two packages, to see what moves.
// `--pure`, which `npm test` runs, does the packages without ONNX Runtime only, in less time.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensurePnpm, runPnpm } from './lib/package-managers.mjs';
import { copyRepository, makeVersions, publish } from './lib/release/make-release.mjs';
import { startRegistry } from './lib/release/registry.mjs';
import { createProject } from './lib/release/stranger.mjs';
import { tryNextRelease } from './lib/release/try-next-release.mjs';
import { tryPage } from './lib/release/try-page.mjs';
import { tryPackage } from './lib/release/try-package.mjs';
import { tryRuntimes } from './lib/release/try-runtimes.mjs';
import { tryTypeScript } from './lib/release/try-typescript.mjs';
import { quickStartCommands } from './lib/quick-start-commands.mjs';
import { createChecklist, runAsScript } from './lib/run.mjs';
import { tensorProblems } from './lib/safetensors.mjs';
import { copyRunInputs, runFolder, trainArguments } from './lib/small-run.mjs';
import { readPackages } from './lib/workspace.mjs';

/** Packages that install nothing but each other, and run in browsers. */
const pure = ['magcache', 'optimizers', 'quant-fp8', 'random', 'safetensors', 'samplers', 'schedulers'];

/** Needs a build. Everything it writes lies in one temporary folder, which it removes. */
export async function rehearse({ onlyPure }) {
  ensurePnpm();
  const folder = mkdtempSync(join(tmpdir(), 'musubi-rehearsal-'));
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  process.once('exit', remove).once('SIGINT', endBySignal).once('SIGTERM', endBySignal);
  const { holds, counts } = createChecklist();
  try {
    const registry = { ...(await startRegistry(join(folder, 'registry'))), cache: join(folder, 'npm-cache') };
    try {
      await rehearseWith(onlyPure, { folder, registry, holds });
    } finally {
      await registry.stop();
    }
  } finally {
    remove();
    process.off('exit', remove).off('SIGINT', endBySignal).off('SIGTERM', endBySignal);
  }
  return counts;
}

/** Ends through `exit`, where the folder is removed. */
function endBySignal() {
  process.exit(130);
}

async function rehearseWith(onlyPure, context) {
  const { folder, registry, holds } = context;
  const copy = copyRepository(join(folder, 'repository'));
  makeVersions(copy);
  const packages = readPackages(copy).filter(
    ({ name, manifest }) => !manifest.private && (!onlyPure || pure.includes(name)),
  );
  const names = packages.map(({ name }) => name);
  publish(copy, names, registry);

  for (const pack of packages) await tryPackage(pack, { isPure: pure.includes(pack.name) }, context);
  tryTypeScript(packages, context);
  await tryPage(
    packages.filter(({ name }) => pure.includes(name)),
    context,
  );
  if (!onlyPure) {
    tryRuntimes(context);
    tryCommandLine(createProject(join(folder, 'npx'), registry, { hasManifest: false }), holds);
    await tryQuickStart(createProject(join(folder, 'quickstart'), registry, { hasManifest: false }), holds);
  }
  tryNextRelease(copy, names, context);
}

/** `npx @musubi/cli train` on the recorded run, in a folder without package.json. */
function tryCommandLine(project, holds) {
  copyRunInputs(project.folder);
  const { ok, stdout, stderr } = project.npx('@musubi/cli', ...trainArguments);
  holds(`npx @musubi/cli train fails\n${stdout}${stderr}`, ok);
  const problems = tensorProblems(
    join(project.folder, 'output', 'my_lora.safetensors'),
    join(runFolder, 'my_lora.safetensors'),
    2e-5,
  );
  holds(`npx: output/my_lora.safetensors: ${problems.join('; ')}`, problems.length === 0);
}

/** `npx @musubi/cli` all the way from the quick start's pictures to its LoRA. */
async function tryQuickStart(project, holds) {
  // loads what the build has made
  const { writeQuickStart } = await import('./lib/quick-start.mjs');
  await writeQuickStart(project.folder);
  for (const args of Object.values(quickStartCommands)) {
    const { ok, stdout, stderr } = project.npx('@musubi/cli', ...args);
    if (!holds(`npx @musubi/cli ${args.join(' ')} fails\n${stdout}${stderr}`, ok)) return;
  }
  const adapter = join(project.folder, 'output', 'my_lora.safetensors');
  holds('npx: the quick start leaves no output/my_lora.safetensors', existsSync(adapter));
}

await runAsScript(import.meta.url, 'release rehearsal', () => {
  ensurePnpm();
  if (!runPnpm(['exec', 'turbo', 'run', 'build', '--output-logs=errors-only']).ok) throw new Error('the build failed');
  return rehearse({ onlyPure: process.argv.includes('--pure') });
});
