import { add, apply, div, Graph, mul, scalar, sqrt, sub } from '@musubi/onnx-graph';

import { assertParameters, type GraphGroup, index, oneMinusPower, squaredNorm } from './internal/graph-parts.ts';

export type AdamwGraphGroup = GraphGroup;

export interface AdamwGraphOptions {
  /** default 0.9 and 0.999 */
  readonly betas?: readonly [number, number];
  /** default 1e-8 */
  readonly eps?: number;
  /** default 0.01 */
  readonly weightDecay?: number;
  /** limit of the norm of all gradients together; default 0, no limit */
  readonly maxGradNorm?: number;
}

/** Names of the inputs of one parameter, and `updated` for the output that takes the place of an input. */
export const adamwGraphNames = {
  gradient: (parameter: string): string => `grad/${parameter}`,
  firstMoment: (parameter: string): string => `exp_avg.${parameter}`,
  secondMoment: (parameter: string): string => `exp_avg_sq.${parameter}`,
  updated: (input: string): string => `new/${input}`,
} as const;

/**
 * One AdamW step (Loshchilov & Hutter 2019, arXiv 1711.05101) as an ONNX graph in float32, for execution providers where
 * parameters and moments stay on the device: `optimizer_model.onnx` of the training artifacts.
 *
 * Inputs: `step` [] counted from 1, `learning_rates` [groups], and for each parameter P `P`, `grad/P`, `exp_avg.P`,
 * `exp_avg_sq.P`. Outputs: `new/P`, `new/exp_avg.P`, `new/exp_avg_sq.P`, and `gradient_norm` [], the norm of all
 * gradients before clipping. All are float32; the moments have the keys of the optimizer's state.
 *
 * @throws {OptimizerError} `BAD_PARAMETERS` without a parameter; a `GraphError` for two parameters of a name
 */
export function adamwGraph(groups: readonly AdamwGraphGroup[], options: AdamwGraphOptions = {}): Graph {
  const { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01, maxGradNorm = 0 } = options;
  assertParameters(groups);
  const graph = new Graph('adamw');
  const step = graph.input('step', 'float32', []);
  const learningRates = graph.input('learning_rates', 'float32', [groups.length]);
  const items = groups.flatMap(({ parameters }, group) =>
    parameters.map((parameter) => ({ ...parameter, group, ...inputsOf(graph, parameter) })),
  );

  const norm = sqrt(items.map(({ gradient }) => squaredNorm(gradient)).reduce(add));
  graph.output('gradient_norm', norm);
  const clip = maxGradNorm > 0 ? apply('Min', [div(maxGradNorm, add(norm, 1e-6)), scalar(graph, 1)]) : null;

  const firstCorrection = oneMinusPower(beta1, step);
  const secondCorrection = sqrt(oneMinusPower(beta2, step));
  const rates = groups.map((_, k) => apply('Gather', [learningRates, index(graph, k)], { axis: 0 }));

  for (const { name, group, parameter, gradient, firstMoment, secondMoment } of items) {
    const rate = rates[group]!;
    const g = clip ? mul(gradient, clip) : gradient;
    const m = add(firstMoment, mul(sub(g, firstMoment), 1 - beta1));
    const v = add(mul(secondMoment, beta2), mul(mul(g, g), 1 - beta2));
    const direction = div(m, add(div(sqrt(v), secondCorrection), eps));
    const kept = weightDecay === 0 ? parameter : mul(parameter, sub(1, mul(rate, weightDecay)));
    const p = sub(kept, mul(direction, div(rate, firstCorrection)));
    graph.output(adamwGraphNames.updated(name), p);
    graph.output(adamwGraphNames.updated(firstMoment.name), m);
    graph.output(adamwGraphNames.updated(secondMoment.name), v);
  }
  return graph;
}

function inputsOf(graph: Graph, { name, shape }: { readonly name: string; readonly shape: readonly number[] }) {
  return {
    parameter: graph.input(name, 'float32', shape),
    gradient: graph.input(adamwGraphNames.gradient(name), 'float32', shape),
    firstMoment: graph.input(adamwGraphNames.firstMoment(name), 'float32', shape),
    secondMoment: graph.input(adamwGraphNames.secondMoment(name), 'float32', shape),
  };
}
