// What a stranger does with one package: installs it as its README says, runs and bundles the examples, requires it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, transformSync } from 'esbuild';
import { outputProblem, readBrowserExamples, readExamples } from '../doc-examples.mjs';
import { root } from '../workspace.mjs';
import { createProject } from './stranger.mjs';

/** @param {{ isPure: boolean }} what a pure package also has to bundle for browsers */
export async function tryPackage({ name, manifest }, { isPure }, { folder, registry, holds }) {
  const project = createProject(join(folder, `try-${name}`), registry);
  const examples = readExamples(`packages/${name}/README.md`);
  const forBrowsers = readBrowserExamples(`packages/${name}/README.md`);
  const stated = statedInstall(name);
  const imported = [...examples, ...forBrowsers].flatMap(importedPackages);
  const withoutVersion = imported.filter((used) => !stated.some((word) => word.startsWith(`${used}@`)));
  project.install(...new Set([manifest.name, ...stated, ...withoutVersion]));

  for (const { code, line } of examples) {
    const file = `example-${line}.mjs`;
    project.write(file, transformSync(code, { loader: 'ts', format: 'esm', target: 'node20' }).code);
    const { ok, status, stdout, stderr } = project.node(file);
    const problem = ok ? outputProblem(code, stdout) : `it ends with ${status}\n${stderr}`;
    holds(`${manifest.name}, example of its README at line ${line}: ${problem}`, problem === undefined);
  }
  const required = project.node('--eval', `require('${manifest.name}')`);
  holds(`require('${manifest.name}') fails\n${required.stderr}`, required.ok);
  for (const { name: file, code } of forBrowsers) {
    const problem = await bundleProblem(project, file, code);
    holds(`${manifest.name}, ${file} of its README does not bundle for browsers: ${problem}`, problem === undefined);
  }
  if (!isPure) return;
  const all = `import * as all from '${manifest.name}';\nglobalThis.all = all;\n`;
  const problem = await bundleProblem(project, 'all.mjs', all);
  holds(`${manifest.name} does not bundle for browsers: ${problem}`, problem === undefined);
}

async function bundleProblem(project, file, code) {
  project.write(file, code);
  const options = { bundle: true, write: false, platform: 'browser', format: 'esm', logLevel: 'silent' };
  const entryPoints = [join(project.folder, file)];
  return build({ entryPoints, ...options }).then(
    () => undefined,
    (error) => error.message,
  );
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
