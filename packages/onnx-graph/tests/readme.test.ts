import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import * as onnxGraph from '../src/index.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8').replaceAll('\r\n', '\n');
const section = (title: string) => readme.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';

test('the README lists the operators of the table', () => {
  const rows = section('Operators')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2);
  const listed = rows.flatMap((row) => row.split('|')[2]?.match(/[A-Z]\w+/g) ?? []);
  expect(listed).toEqual(Object.keys(onnxGraph.operators));
});

test('the README names every export', () => {
  const table = section('API');
  expect(Object.keys(onnxGraph).filter((name) => !new RegExp(`\\b${name}\\b`).test(table))).toEqual([]);
});
