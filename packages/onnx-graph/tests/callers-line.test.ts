import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import {
  Graph,
  GraphError,
  add,
  createParams,
  layerNormalization,
  linear,
  matmul,
  mul,
  rmsNorm,
} from '../src/index.ts';

const graph = new Graph('lines');
const a = graph.input('a', 'float32', ['B', 3]);
const b = graph.input('b', 'float32', ['B', 4]);
const params = createParams(graph, () => undefined);

const lines = readFileSync(new URL(import.meta.url), 'utf8').split('\n');

// Each mistake stands on a line of its own, marked with its name.
const mistakes = {
  add: () => add(a, b), // here: add
  matmul: () => mul(matmul(a, b), 2), // here: matmul
  linear: () => linear(a, params.at('q'), 3, 3), // here: linear
  norm: () => layerNormalization(a, b, b, 1e-6), // here: norm
  composed: () => rmsNorm(a, b, 1e-6), // here: composed
  dimension: () => graph.input('c', 'float32', [-1]), // here: dimension
} satisfies Record<string, () => unknown>;

test.each(Object.entries(mistakes))('a wrong %s is found on the line that wrote it', (name, mistake) => {
  const { stack = '', message } = catchError(mistake);

  const [first = '', second = ''] = stack.slice(stack.indexOf(message) + message.length + 1).split('\n');
  expect(first).toContain('callers-line.test.ts:');
  expect(lines[Number(/:(\d+):\d+\)?$/.exec(first)?.[1]) - 1]).toContain(`// here: ${name}`);
  expect(second).toContain('callers-line.test.ts:');
});

function catchError(mistake: () => unknown): GraphError {
  try {
    mistake();
  } catch (error) {
    if (error instanceof GraphError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
