// Type-checks and runs every ts example of the READMEs and compares what it prints with what its comments say.
// The convention is described in CONTRIBUTING.md.
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { outputProblem, readExamples } from './lib/readme-examples.mjs';
import { createChecklist, runAsScript, runNode } from './lib/run.mjs';
import { readJson, readPackages, root } from './lib/workspace.mjs';

export function checkDocs() {
  const { holds, counts } = createChecklist();
  const readmes = ['README.md', ...readPackages().map(({ name }) => `packages/${name}/README.md`)];
  const examples = readmes.filter((file) => existsSync(join(root, file))).flatMap(readExamples);
  const folder = createWorkFolder();
  try {
    examples.forEach((example, index) => {
      example.file = join(folder, `example-${index}.ts`);
      writeFileSync(example.file, example.code);
    });
    const problems = typeProblems(examples);
    for (const example of examples) {
      const found = problems.get(basename(example.file)) ?? runProblem(example, folder);
      holds(`${example.readme}, example at line ${example.line}: ${found}`, found === undefined);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return counts;
}

/** A folder outside the repository in which every package, and what packages depend on, is found by name. */
function createWorkFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'musubi-docs-'));
  const modules = join(folder, 'node_modules');
  const link = (target, name) => {
    const path = join(modules, name);
    if (existsSync(path)) return;
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path, 'junction');
  };
  for (const pack of readPackages()) {
    link(pack.folder, pack.manifest.name);
    const { dependencies, optionalDependencies, devDependencies } = pack.manifest;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies })) {
      if (!name.startsWith('@musubi/')) link(join(pack.folder, 'node_modules', name), name);
    }
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  return folder;
}

/** First compiler error of each example, by file name. */
function typeProblems(examples) {
  const { compilerOptions } = readJson(join(root, 'tsconfig.base.json'));
  const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, root);
  const typeRoots = [join(root, 'node_modules', '@types')];
  const program = ts.createProgram(
    examples.map(({ file }) => file),
    { ...options, typeRoots },
  );
  const problems = new Map();
  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
    const name = file ? basename(file.fileName) : '';
    const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
    const where = examples.some((example) => basename(example.file) === name) ? `line ${line} of it` : file?.fileName;
    const message = `${where}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    if (!problems.has(name)) problems.set(name, message);
  }
  return problems;
}

function runProblem({ file, code }, folder) {
  const workFolder = mkdtempSync(join(folder, 'run-'));
  const tsx = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs')).href;
  const args = [tsx, '--conditions=@musubi/source', file];
  // what examples put into temporary folders goes with this one
  const env = { ...process.env, TMPDIR: workFolder, TEMP: workFolder, TMP: workFolder };
  const { ok, status, stdout, stderr } = runNode('--import', args, { cwd: workFolder, env, capture: true });
  if (!ok) return `it ends with ${status}\n${stderr}`;
  return outputProblem(code, stdout);
}

await runAsScript(import.meta.url, 'documentation examples', checkDocs);
