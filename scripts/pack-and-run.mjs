// Packs every released package, installs the tarballs with npm in an empty folder outside the repository and trains
// there from the command line, as a user would. Then the same as the bundle for machines without internet. Needs a build.
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ensurePnpm, runNpm } from './lib/package-managers.mjs';
import { installTarballs, packPackages } from './lib/packed-packages.mjs';
import { createChecklist, runAsScript, runNode } from './lib/run.mjs';
import { lintPackage } from './lib/lint-package.mjs';
import { tensorProblems } from './lib/safetensors.mjs';
import { copyRunInputs, runFolder, trainArguments } from './lib/small-run.mjs';
import { tryBundle } from './lib/try-bundle.mjs';
import { entriesOf, readPackages, specifierOf } from './lib/workspace.mjs';

/** Largest difference of a saved value to the original's after the whole run, as in the golden test of the trainer. */
const atol = 2e-5;

export async function packAndRun() {
  ensurePnpm();
  const folder = mkdtempSync(join(tmpdir(), 'musubi-packed-'));
  const project = join(folder, 'project');
  const { holds, counts } = createChecklist();
  try {
    const packages = readPackages().filter(({ manifest }) => !manifest.private);
    const tarballs = packPackages(packages, join(folder, 'tarballs'));
    for (const released of packages) {
      const problems = await lintPackage(released, readFileSync(tarballs[released.manifest.name]));
      holds(`${released.manifest.name} as packed: ${problems.join('; ')}`, problems.length === 0);
    }
    installTarballs(project, tarballs);
    for (const released of packages) {
      const problems = contentProblems(released, join(project, 'node_modules', released.manifest.name));
      holds(`${released.manifest.name} as installed: ${problems.join('; ')}`, problems.length === 0);
    }
    const train = (...args) => runNpm(['exec', '--no', '--', 'musubi', ...args], { cwd: project });
    if (holds('npx musubi --help fails', train('--help').ok)) {
      copyRunInputs(project);
      holds('the training run fails', train(...trainArguments).ok);
      const problems = tensorProblems(
        join(project, 'output/my_lora.safetensors'),
        join(runFolder, 'my_lora.safetensors'),
        atol,
      );
      holds(`output/my_lora.safetensors: ${problems.join('; ')}`, problems.length === 0);
      await tryBundle(project, join(folder, 'bundle'), holds);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  return counts;
}

/** What is wrong with an installed package: its files, its manifest, its entries. */
function contentProblems(released, folder) {
  if (!existsSync(folder)) return ['it was not installed'];
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((file) => !file.startsWith('node_modules/'));
  const problems = [];
  for (const file of ['LICENSE', 'README.md', 'package.json'])
    if (!files.includes(file)) problems.push(`${file} is missing`);
  const foreign = files.filter(
    (file) =>
      !/^(dist\/.*|src\/.*|LICENSE|README\.md|CHANGELOG\.md|package\.json)$/.test(file) || file.endsWith('.test.ts'),
  );
  if (foreign.length > 0) problems.push(`it contains ${foreign.join(', ')}`);
  const manifest = readFileSync(join(folder, 'package.json'), 'utf8');
  for (const word of ['workspace:', 'catalog:', '@musubi/source']) {
    if (manifest.includes(word)) problems.push(`package.json still says "${word}"`);
  }
  for (const { subpath, built } of entriesOf({ manifest: JSON.parse(manifest) })) {
    const types = built.replace(/\.js$/, '.d.ts').slice(2);
    if (!files.includes(types)) problems.push(`${types} is missing`);
    const specifier = specifierOf(released, subpath);
    const code = `await import('${specifier}')`;
    const { ok, stderr } = runNode('--input-type=module', ['--eval', code], {
      cwd: join(folder, '../../..'),
      capture: true,
    });
    if (!ok) problems.push(`import '${specifier}' fails\n${stderr}`);
  }
  return problems;
}

await runAsScript(import.meta.url, 'packed packages', packAndRun);
