import { format, plugins } from '@vitest/pretty-format';
import { getCurrentTest } from '@vitest/runner';
import { getNames } from '@vitest/runner/utils';

import { dirname, readFileSync } from './files.ts';

/** The plugins and options with which vitest writes snapshots. */
const { AsymmetricMatcher, DOMCollection, DOMElement, Immutable, ReactElement, ReactTestComponent } = plugins;
const options = {
  escapeString: false,
  escapeRegex: true,
  printFunctionName: false,
  printBasicPrototype: false,
  plugins: [ReactTestComponent, ReactElement, DOMElement, DOMCollection, Immutable, AsymmetricMatcher],
};

/** Compare with what stands in the test, or in the file beside it. Nothing is ever written. */
export const snapshotMatchers = {
  toMatchInlineSnapshot: (actual: unknown, expected: string) => compare(actual, withoutIndent(expected)),
  toThrowErrorMatchingInlineSnapshot: (actual: unknown, expected: string) =>
    compare(thrownBy(actual), withoutIndent(expected)),
  toMatchSnapshot: (actual: unknown) => compare(actual, stored()),
  toMatchFileSnapshot: (actual: string, path: string) => compareTexts(actual, readBesideTest(path)),
};

function compare(actual: unknown, expected: string | undefined) {
  return compareTexts(format(actual, options).trim(), expected?.trim());
}

function compareTexts(actual: string, expected: string | undefined) {
  const text = actual.replaceAll('\r\n', '\n');
  return {
    pass: text === expected?.replaceAll('\r\n', '\n'),
    message: () => `the snapshot differs\n--- expected\n${expected}\n--- actual\n${text}`,
    actual: text,
    expected,
  };
}

/** What a function throws, or the error with which a promise was rejected. */
function thrownBy(actual: unknown): unknown {
  if (typeof actual !== 'function') return actual;
  try {
    (actual as () => unknown)();
  } catch (error) {
    return error;
  }
  throw new Error('it throws nothing');
}

/** A snapshot that stands on lines of its own in a test is indented like the test. */
function withoutIndent(text: string): string {
  const lines = text.split('\n');
  if (lines.length < 3 || lines[0]?.trim() !== '') return text;
  const indent = /^[ \t]*/.exec(lines[1] ?? '')?.[0] ?? '';
  return lines
    .slice(1, -1)
    .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
    .join('\n');
}

/** A file of the repository, by its path from the folder of the test. */
function readBesideTest(path: string): string {
  return readFileSync(`/repository/${dirname(getNames(runningTest())[0] ?? '')}/${path}`, 'utf8') as string;
}

const counts = new Map<string, number>();

/** From `__snapshots__/NAME.test.ts.snap`, by the names of the test and how many it has had before. */
function stored(): string | undefined {
  const [file = '', ...names] = getNames(runningTest());
  const name = names.join(' > ');
  const count = (counts.get(file + name) ?? 0) + 1;
  counts.set(file + name, count);
  const path = `/repository/${file.replace(/[^/]+$/, '__snapshots__/$&.snap')}`;
  const snapshots: Record<string, string> = {};
  // the file is written as a script that fills `exports`
  new Function('exports', readFileSync(path, 'utf8') as string)(snapshots);
  return snapshots[`${name} ${count}`];
}

function runningTest() {
  const test = getCurrentTest();
  if (!test) throw new Error('a snapshot belongs into a test.');
  return test;
}
