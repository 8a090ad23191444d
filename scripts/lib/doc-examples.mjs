// The ts examples of READMEs and docstrings, and what they say that they print. The convention is described in CONTRIBUTING.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from './workspace.mjs';

/** Every block of a README that is fenced as ts: `{ file, line, code }`. */
export function readExamples(file) {
  return blocksOf(file, readText(file), /^```ts\n(.*?)^```/gms);
}

/** Blocks of a README that are fenced as `ts browser`: files of a page, which have their name in the first line. */
export function readBrowserExamples(file) {
  const blocks = blocksOf(file, readText(file), /^```ts browser\n(.*?)^```/gms);
  return blocks.map((block) => ({ ...block, name: /^\/\/ ([\w-]+\.ts)\n/.exec(block.code)?.[1] }));
}

/** What the code of a page finds beside it, e.g. the script of a worker. */
export function neighboursOf(code) {
  return [...code.matchAll(/new URL\('\.\/([^']+)', import\.meta\.url\)/g)].map(([, name]) => name);
}

/** Every block of a source file's docstrings that is fenced as ts. */
export function readDocstringExamples(file) {
  const blocks = blocksOf(file, readText(file), /^ *\* ```ts\n((?: *\*.*\n)*?) *\* ```/gm);
  return blocks.map((block) => ({ ...block, code: block.code.replaceAll(/^ *\* ?/gm, '') }));
}

/** Lines of `@example` tags without a block below them. */
export function emptyExampleTags(file) {
  const text = readText(file);
  return [...text.matchAll(/^ *\* @example(?!.*\n *\* ```ts$)/gm)].map((match) => lineOf(text, match));
}

function readText(file) {
  return readFileSync(join(root, file), 'utf8').replaceAll('\r\n', '\n');
}

function blocksOf(file, text, pattern) {
  return [...text.matchAll(pattern)].map((match) => ({ file, line: lineOf(text, match), code: match[1] }));
}

function lineOf(text, match) {
  return text.slice(0, match.index).split('\n').length;
}

/** What is wrong with an example that printed `stdout`; undefined when it printed what it says. */
export function outputProblem(code, stdout) {
  const stated = statedOutput(code);
  if (stated.length === 0) return 'it prints nothing that a comment states; every example shows its output';
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
