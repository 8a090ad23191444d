// Type-checks and runs every ts example of the READMEs, the guide and docstrings and compares what it prints with what its comments say.
// Those for browsers are type-checked and bundled.
// The convention is described in CONTRIBUTING.md. `node scripts/docs-check.mjs [PATH…]` takes beginnings of paths.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import ts from 'typescript';
import {
  emptyExampleTags,
  neighboursOf,
  outputProblem,
  readBrowserExamples,
  readDocstringExamples,
  readExamples,
} from './lib/doc-examples.mjs';
import { guides } from './lib/guide.mjs';
import { createChecklist, runAsScript, runNode } from './lib/run.mjs';
import { readJson, readPackages, root } from './lib/workspace.mjs';

/** @param {readonly string[]} wanted beginnings of the paths to check, relative to the repository; none means all */
export async function checkDocs(wanted = []) {
  const isWanted = (file) => wanted.length === 0 || wanted.some((beginning) => file.startsWith(beginning));
  const { holds, counts } = createChecklist();
  const ofReadmes = readmes().filter(isWanted).flatMap(readExamples);
  const ofDocstrings = sources().filter(isWanted).flatMap(readDocstringExamples);
  const allForBrowsers = readmes().flatMap(readBrowserExamples);
  const forBrowsers = allForBrowsers.filter(({ file }) => isWanted(file));
  const examples = [...ofReadmes, ...ofDocstrings, ...forBrowsers];
  const folder = createWorkFolder();
  try {
    examples.forEach((example, index) => {
      example.path = join(folder, `example-${index}.ts`);
      writeFileSync(example.path, example.code);
    });
    const problems = typeProblems(examples);
    const isSound = ({ path }) => !problems.has(basename(path));
    for (const example of ofReadmes.filter(isSound)) problems.set(basename(example.path), runProblem(example, folder));
    for (const [path, problem] of runTogether(ofDocstrings.filter(isSound), folder))
      problems.set(basename(path), problem);
    for (const example of forBrowsers.filter(isSound)) {
      const names = new Set(allForBrowsers.map(({ name }) => name));
      problems.set(basename(example.path), await bundleProblem(example, names));
    }
    for (const { file, line, path } of examples) {
      const found = problems.get(basename(path));
      holds(`${file}, example at line ${line}: ${found}`, found === undefined);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  for (const file of sources().filter(isWanted)) {
    const lines = emptyExampleTags(file);
    if (lines.length > 0) holds(`${file}, line ${lines}: @example without a block fenced as ts below it`, false);
  }
  return counts;
}

function readmes() {
  // translations have the same blocks, which a test demands
  const files = ['README.md', guides[0], ...readPackages().map(({ name }) => `packages/${name}/README.md`)];
  return files.filter((file) => existsSync(join(root, file)));
}

/** The packages' sources without tests, relative to the repository. */
function sources() {
  return readPackages().flatMap(({ folder }) =>
    readdirSync(join(folder, 'src'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/')),
  );
}

/** A folder outside the repository in which every package, and what packages depend on, is found by name. */
function createWorkFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'musubi-docs-'));
  const modules = join(folder, 'node_modules');
  const link = (target, name) => {
    const path = join(modules, name);
    // what is optional is not installed on every system
    if (existsSync(path) || !existsSync(target)) return;
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
    examples.map(({ path }) => path),
    { ...options, typeRoots },
  );
  const problems = new Map();
  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
    const name = file ? basename(file.fileName) : '';
    const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
    const where = examples.some((example) => basename(example.path) === name) ? `line ${line} of it` : file?.fileName;
    const message = `${where}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    if (!problems.has(name)) problems.set(name, message);
  }
  return problems;
}

/** Runs an example of a README in a process and a folder of its own. */
function runProblem({ path, code }, folder) {
  const { ok, status, stdout, stderr } = runTypeScript(path, [], mkdtempSync(join(folder, 'run-')));
  return ok ? outputProblem(code, stdout) : `it ends with ${status}\n${stderr}`;
}

/** What keeps an example from being bundled for browsers; undefined when nothing does. */
async function bundleProblem({ path, code, name }, names) {
  if (!name) return 'its first line is no name of a file, e.g. // page.ts';
  const missing = neighboursOf(code).filter((neighbour) => !names.has(neighbour));
  if (missing.length > 0) return `it names ${missing}, and no example has that name`;
  try {
    await build({
      entryPoints: [path],
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'browser',
      conditions: ['@musubi/source'],
      logLevel: 'silent',
    });
    return undefined;
  } catch (error) {
    return `it does not bundle for browsers\n${error.message}`;
  }
}

/** Runs the short examples of docstrings one after the other in one process; returns the problem of each by its path. */
function runTogether(examples, folder) {
  const runner = join(root, 'scripts', 'lib', 'run-examples.mjs');
  const paths = examples.map(({ path }) => path);
  const { stdout, stderr } = runTypeScript(runner, paths, mkdtempSync(join(folder, 'run-')));
  // one line for each that ended, so that one which ends the process is found
  const results = stdout.split('\n').filter(Boolean).map(JSON.parse);
  return examples.map(({ path, code }, index) => {
    const { printed, error = `the examples end here\n${stderr}` } = results[index] ?? {};
    return [path, printed === undefined ? error : outputProblem(code, printed)];
  });
}

function runTypeScript(path, args, cwd) {
  const tsx = pathToFileURL(join(root, 'node_modules', 'tsx', 'dist', 'esm', 'index.mjs')).href;
  // what examples put into temporary folders goes with this one
  const env = { ...process.env, TMPDIR: cwd, TEMP: cwd, TMP: cwd };
  return runNode('--import', [tsx, '--conditions=@musubi/source', path, ...args], { cwd, env, capture: true });
}

await runAsScript(import.meta.url, 'documentation examples', () => checkDocs(process.argv.slice(2)));
