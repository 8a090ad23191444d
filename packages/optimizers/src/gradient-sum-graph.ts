import { add, Graph } from '@musubi/onnx-graph';

import { assertParameters, type GraphGroup } from './internal/graph-parts.ts';

/** Names of what one parameter has in {@link gradientSumGraph}. */
export const gradientSumNames = {
  sum: (parameter: string): string => `sum/${parameter}`,
  gradient: (parameter: string): string => `grad/${parameter}`,
  updated: (parameter: string): string => `new/sum/${parameter}`,
} as const;

/**
 * Adds the gradients of a batch to those before it, as an ONNX graph for devices where both stay: `new/sum/P` is `sum/P` +
 * `grad/P`. The share of a batch is left to the `gradient_scale` of `adamwGraph`.
 *
 * @throws {OptimizerError} `BAD_PARAMETERS` without a parameter
 */
export function gradientSumGraph({ parameters }: GraphGroup): Graph {
  assertParameters([{ parameters }]);
  const graph = new Graph('gradient sum');
  for (const { name, shape } of parameters) {
    const sum = graph.input(gradientSumNames.sum(name), 'float32', shape);
    const gradient = graph.input(gradientSumNames.gradient(name), 'float32', shape);
    graph.output(gradientSumNames.updated(name), add(sum, gradient));
  }
  return graph;
}
