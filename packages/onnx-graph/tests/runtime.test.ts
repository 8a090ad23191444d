import { describe, expect, test } from 'vitest';

import { operators } from '../src/index.ts';
import { interpret } from './interpreter/index.ts';
import { runOnRuntime } from './on-runtime.ts';
import { createCase, operatorCases } from './operator-cases.ts';

/*
 * What ONNX Runtime 1.30 does on the CPU that one might not expect, and the interpreter and the table follow:
 *
 * - The statistics of a float64 LayerNormalization or SimplifiedLayerNormalization come out as float32.
 * - A normalization's scale may be smaller than the normalized axes, or have axes before them: it broadcasts.
 * - ReduceMean of integers truncates towards zero.
 * - RotaryEmbedding ignores its `scale`, and fails while running where offset + T exceeds the rows of its tables.
 * - Slice bounds are clamped, so that a symbolic axis shorter than them gives less than the builder inferred.
 *
 * It has no CPU kernels for Erf and Gelu of float64 and for arithmetic in bfloat16, so these cases are left out.
 */
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
