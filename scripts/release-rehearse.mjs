// `pnpm release:rehearse [--pure]`: a release from beginning to end against a registry on this machine. Versions and changelogs are
// made, everything is published, and strangers with empty folders install it: every package by itself, its README example run as
// printed, pure ones bundled for browsers and loaded by `require`, and the command line through npx. Then a small release of
// two packages, to see what moves. `--pure` does the packages without ONNX Runtime only, in less time. Needs a build.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, transformSync } from 'esbuild';
import { ensurePnpm, runNpm, runPnpm } from './lib/package-managers.mjs';
import { outputProblem, readExamples } from './lib/readme-examples.mjs';
import { startRegistry } from './lib/registry.mjs';
import { createChecklist, runAsScript, runNode } from './lib/run.mjs';
import { tensorProblems } from './lib/safetensors.mjs';
import { copyRunInputs, runFolder, trainArguments } from './lib/small-run.mjs';
import { readJson, readPackages, root } from './lib/workspace.mjs';

/** Packages that install nothing but each other, and run in browsers. */
const pure = ['magcache', 'optimizers', 'quant-fp8', 'random', 'safetensors', 'samplers', 'schedulers'];

export async function rehearse({ onlyPure = process.argv.includes('--pure') } = {}) {
  ensurePnpm();
  const folder = mkdtempSync(join(tmpdir(), 'musubi-rehearsal-'));
  const { holds, counts } = createChecklist();
  const registry = await startRegistry(join(folder, 'registry'));
  try {
    const clone = copyRepository(join(folder, 'repository'));
    const released = readPackages(clone).filter(({ manifest }) => !manifest.private);
    const packages = onlyPure ? released.filter(({ name }) => pure.includes(name)) : released;

    makeVersions(clone);
    publish(packages, clone, registry);
    for (const { name, manifest } of packages) await tryPackage(name, manifest.name, { folder, registry, holds });
    if (!onlyPure) tryCommandLine(join(folder, 'npx'), registry, holds);
    tryNextRelease(clone, { packages, registry, holds });
  } finally {
    await registry.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  return counts;
}

/** A clone with everything installed and, copied, what was built. */
function copyRepository(clone) {
  mkdirSync(clone);
  const ignored = /[\\/](node_modules|\.git|\.turbo|quickstart|golden)$/;
  cpSync(root, clone, { recursive: true, filter: (path) => !ignored.test(path) });
  const { ok, stdout, stderr } = runPnpm(['install', '--frozen-lockfile', '--prefer-offline', '--ignore-scripts'], {
    cwd: clone,
    capture: true,
  });
  if (!ok) throw new Error(`pnpm install failed\n${stdout}${stderr}`);
  return clone;
}

/** `changeset version`: versions, changelogs, dependants. */
function makeVersions(clone) {
  const script = join(root, 'node_modules', '@changesets', 'cli', 'bin.js');
  const { ok, stdout, stderr } = runNode(script, ['version'], { cwd: clone, capture: true });
  if (!ok) throw new Error(`changeset version failed\n${stdout}${stderr}`);
}

function publish(packages, clone, { userConfig }) {
  const tarballs = join(clone, 'tarballs');
  mkdirSync(tarballs, { recursive: true });
  for (const { folder } of packages) {
    const manifest = readJson(join(folder, 'package.json'));
    const packed = runPnpm(['pack', '--pack-destination', tarballs], { cwd: folder, capture: true });
    if (!packed.ok) throw new Error(`pnpm pack of ${manifest.name} failed\n${packed.stdout}${packed.stderr}`);
    const tarball = join(tarballs, `${manifest.name.slice(1).replace('/', '-')}-${manifest.version}.tgz`);
    const args = [
      'publish',
      tarball,
      '--userconfig',
      userConfig,
      '--provenance=false',
      '--access=public',
      '--loglevel=error',
    ];
    const { ok, stdout, stderr } = runNpm(args, { cwd: clone, capture: true });
    if (!ok) throw new Error(`npm publish of ${manifest.name} failed\n${stdout}${stderr}`);
    console.log(`  published ${manifest.name} ${manifest.version}`);
  }
}

/** A stranger with an empty folder installs one package and runs its README. */
async function tryPackage(name, packageName, { folder, registry, holds }) {
  const project = join(folder, `try-${name}`);
  const examples = readExamples(`packages/${name}/README.md`);
  install(
    project,
    [...new Set([packageName, ...statedInstall(name), ...examples.flatMap(importedPackages)])],
    registry,
  );

  for (const { code, line } of examples) {
    const file = join(project, `example-${line}.mjs`);
    writeFileSync(file, transformSync(code, { loader: 'ts', format: 'esm', target: 'node20' }).code);
    const { ok, status, stdout, stderr } = runNode(file, [], { cwd: project, capture: true });
    const problem = ok ? outputProblem(code, stdout) : `it ends with ${status}\n${stderr}`;
    holds(`${packageName}, example of its README at line ${line}: ${problem}`, problem === undefined);
  }
  const required = runNode('--eval', [`require('${packageName}')`], { cwd: project, capture: true });
  holds(`require('${packageName}') fails\n${required.stderr}`, required.ok);
  if (!pure.includes(name)) return;
  const entry = join(project, 'page.mjs');
  writeFileSync(entry, `import * as all from '${packageName}';\nglobalThis.all = all;\n`);
  const bundled = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'esm',
    logLevel: 'silent',
  }).catch((error) => error);
  holds(`${packageName} does not bundle for browsers: ${bundled.message}`, !(bundled instanceof Error));
}

/** What the install commands of a README install. */
function statedInstall(name) {
  const readme = readFileSync(join(root, 'packages', name, 'README.md'), 'utf8');
  const commands = [...readme.split('```ts')[0].matchAll(/npm (?:i|install) ([^\n`]+)/g)];
  return commands.flatMap(([, words]) => words.split(/\s+/)).filter((word) => /^@?[a-z]/.test(word));
}

function importedPackages({ code }) {
  const found = [...code.matchAll(/from '((?:@[^/']+\/)?[^/':]+)[^:']*'/g)].map(([, name]) => name);
  return found.filter((name) => !name.startsWith('.'));
}

function install(project, names, { userConfig }) {
  mkdirSync(project, { recursive: true });
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
  const args = ['install', ...names, '--userconfig', userConfig, '--no-audit', '--no-fund', '--loglevel=error'];
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const { ok, stdout, stderr } = runNpm(args, { cwd: project, env, capture: true });
  if (!ok) throw new Error(`npm cannot install ${names.join(', ')}\n${stdout}${stderr}`);
}

/** `npx @musubi/cli train` on the recorded run, in a folder without package.json. */
function tryCommandLine(project, { userConfig }, holds) {
  copyRunInputs(project);
  const args = ['exec', '--yes', '--userconfig', userConfig, '--', '@musubi/cli', ...trainArguments];
  const { ok, stdout, stderr } = runNpm(args, { cwd: project, capture: true });
  holds(`npx @musubi/cli train fails\n${stdout}${stderr}`, ok);
  const problems = tensorProblems(
    join(project, 'output', 'my_lora.safetensors'),
    join(runFolder, 'my_lora.safetensors'),
    2e-5,
  );
  holds(`npx: output/my_lora.safetensors: ${problems.join('; ')}`, problems.length === 0);
}

function bumped(version, bump) {
  const [major, minor, patch] = version.split('.').map(Number);
  return bump === 'minor' ? `${major}.${minor + 1}.0` : `${major}.${minor}.${patch + 1}`;
}

/** A patch of samplers and a minor of schedulers: they move, and what depends on them; other pure packages stay. */
function tryNextRelease(clone, { packages, registry, holds }) {
  const versions = () => new Map(readPackages(clone).map(({ name, manifest }) => [name, manifest.version]));
  const before = versions();
  const change = (name, bump) =>
    writeFileSync(
      join(clone, '.changeset', `rehearsal-${name}.md`),
      `---\n'@musubi/${name}': ${bump}\n---\n\nA rehearsal.\n`,
    );
  change('samplers', 'patch');
  change('schedulers', 'minor');
  makeVersions(clone);
  const after = versions();
  const moved = [...after].filter(([name, version]) => before.get(name) !== version).map(([name]) => name);
  const fixed = ['onnx-graph', 'autodiff', 'models', 'runtime', 'trainer', 'cli'];
  holds(
    `samplers went from ${before.get('samplers')} to ${after.get('samplers')}`,
    after.get('samplers') === bumped(before.get('samplers'), 'patch'),
  );
  holds(
    `schedulers went from ${before.get('schedulers')} to ${after.get('schedulers')}`,
    after.get('schedulers') === bumped(before.get('schedulers'), 'minor'),
  );
  holds(
    `${fixed} have versions ${fixed.map((name) => after.get(name))}`,
    new Set(fixed.map((name) => after.get(name))).size === 1,
  );
  const allowed = new Set(['samplers', 'schedulers', ...fixed]);
  holds(
    `${moved} moved, expected some of ${[...allowed]}`,
    moved.every((name) => allowed.has(name)) && moved.includes('trainer'),
  );
  publish(
    packages.filter(({ name }) => moved.includes(name)),
    clone,
    registry,
  );
}

await runAsScript(import.meta.url, 'release rehearsal', rehearse);
