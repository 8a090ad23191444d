// Type-checks and runs every ts example of the READMEs and compares what it prints with what its comments say.
// The convention is described in CONTRIBUTING.md.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
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

function readExamples(readme) {
  const text = readFileSync(join(root, readme), 'utf8').replaceAll('\r\n', '\n');
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => ({
    readme,
    line: text.slice(0, match.index).split('\n').length,
    code: match[1],
  }));
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
  const stated = statedOutput(code);
  if (stated.length === 0) return 'it prints nothing that a comment states; every example shows its output';
  const workFolder = mkdtempSync(join(folder, 'run-'));
  const tsx = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs')).href;
  const args = [tsx, '--conditions=@musubi/source', file];
  // what examples put into temporary folders goes with this one
  const env = { ...process.env, TMPDIR: workFolder, TEMP: workFolder, TMP: workFolder };
  const { ok, status, stdout, stderr } = runNode('--import', args, { cwd: workFolder, env, capture: true });
  if (!ok) return `it ends with ${status}\n${stderr}`;
  if (outputPattern(stated).test(collapse(stdout))) return undefined;
  return `it states\n${indent(stated.join('\n'))}\n  but prints\n${indent(stdout.trimEnd())}`;
}

/**
 * What the comments of an example say it prints: behind a `console.log(…)` on the same line, else in the comment lines
 * directly below it or, where it stands in a loop or function, below that.
 */
function statedOutput(code) {
  const source = ts.createSourceFile('example.ts', code, ts.ScriptTarget.ES2022, true);
  const lines = code.split('\n');
  const lineAfter = (node) => source.getLineAndCharacterOfPosition(node.getEnd()).line + 1;
  const stated = [];
  for (const statement of source.statements) {
    const visit = (node) => {
      if (ts.isCallExpression(node) && node.expression.getText(source) === 'console.log') {
        const { line, character } = source.getLineAndCharacterOfPosition(node.getEnd());
        const behind = /\/\/ ?(.*)$/.exec(lines[line].slice(character));
        const places = [
          behind ? [behind[1]] : [],
          commentLines(lines.slice(line + 1)),
          commentLines(lines.slice(lineAfter(statement))),
        ];
        stated.push(...(places.find((place) => place.length > 0) ?? []));
      }
      ts.forEachChild(node, visit);
    };
    visit(statement);
  }
  return stated;
}

/** The text of the comment lines with which `lines` begin. */
function commentLines(lines) {
  const end = lines.findIndex((line) => !line.trim().startsWith('//'));
  return lines.slice(0, end < 0 ? undefined : end).map((line) => line.trim().replace(/^\/\/ ?/, ''));
}

/** The stated text; `…` stands for any text, and amounts of white space do not matter. */
function outputPattern(stated) {
  const parts = collapse(stated.join('\n'))
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

function collapse(text) {
  return text.trim().replace(/\s+/g, ' ');
}

function indent(text) {
  return text.replace(/^/gm, '    ');
}

await runAsScript(import.meta.url, 'documentation examples', checkDocs);
