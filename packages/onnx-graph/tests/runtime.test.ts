import { describe, expect, test } from 'vitest';

import { operators } from '../src/index.ts';
import { interpret } from './interpreter/index.ts';
import { runOnRuntime } from './on-runtime.ts';
import { createCase, operatorCases } from './operator-cases.ts';

const seeds = [1, 2, 3];

describe.each(Object.keys(operators))('%s', (op) => {
  const builds = operatorCases.get(op) ?? [];

  test('has cases', () => {
    expect(builds.length).toBeGreaterThan(0);
  });

  test.each(builds.map((build, i) => ({ i, build })))('agrees with ONNX Runtime, case $i', async ({ build }) => {
    for (const seed of seeds) {
      const { graph, feeds } = createCase(seed, build);
      const expected = await runOnRuntime(graph, feeds);
      const computed = interpret(graph, feeds);
      for (const { name } of graph.outputs) {
        expect(computed[name]?.shape).toEqual(expected[name]?.shape);
        expect(expected[name]?.data).toBeAllClose(computed[name]?.data ?? [], { rtol: 1e-5, atol: 1e-5 });
      }
    }
  });
});
