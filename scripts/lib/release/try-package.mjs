// What a stranger does with one package: installs it as its README says, runs the example, bundles it, requires it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, transformSync } from 'esbuild';
import { outputProblem, readExamples } from '../doc-examples.mjs';
import { root } from '../workspace.mjs';
import { createProject } from './stranger.mjs';

/** @param {{ isPure: boolean }} what a pure package also has to bundle for browsers */
export async function tryPackage({ name, manifest }, { isPure }, { folder, registry, holds }) {
  const project = createProject(join(folder, `try-${name}`), registry);
  const examples = readExamples(`packages/${name}/README.md`);
  const names = new Set([manifest.name, ...statedInstall(name), ...examples.flatMap(importedPackages)]);
  project.install(...names);

  for (const { code, line } of examples) {
    const file = `example-${line}.mjs`;
    project.write(file, transformSync(code, { loader: 'ts', format: 'esm', target: 'node20' }).code);
    const { ok, status, stdout, stderr } = project.node(file);
    const problem = ok ? outputProblem(code, stdout) : `it ends with ${status}\n${stderr}`;
    holds(`${manifest.name}, example of its README at line ${line}: ${problem}`, problem === undefined);
  }
  const required = project.node('--eval', `require('${manifest.name}')`);
  holds(`require('${manifest.name}') fails\n${required.stderr}`, required.ok);
  if (!isPure) return;
  project.write('page.mjs', `import * as all from '${manifest.name}';\nglobalThis.all = all;\n`);
  const bundled = await build({
    entryPoints: [join(project.folder, 'page.mjs')],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'esm',
    logLevel: 'silent',
  }).catch((error) => error);
  holds(`${manifest.name} does not bundle for browsers: ${bundled.message}`, !(bundled instanceof Error));
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
