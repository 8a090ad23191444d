import { add, apply, div, Graph, mul, scalar, sqrt, sub } from '@musubi/onnx-graph';
import type { Value } from '@musubi/onnx-graph';

import { adamwGraphNames } from './adamw-graph.ts';
import { assertParameters, type GraphGroup, index, oneMinusPower, squaredNorm } from './internal/graph-parts.ts';

export interface AdamwScheduleFreeGraphOptions {
  /** default 0.9 and 0.999; the first above 0 */
  readonly betas?: readonly [number, number];
  /** default 1e-8 */
  readonly eps?: number;
  /** default 0 */
  readonly weightDecay?: number;
  /** steps in which the rate rises to its value, default 0 */
  readonly warmupSteps?: number;
  /** power of the step in the weights of the average, default 0 */
  readonly r?: number;
  /** power of the largest rate so far in them, default 2 */
  readonly weightLrPower?: number;
  /** limit of the norm of all gradients together; default 0, no limit */
  readonly maxGradNorm?: number;
}

/** Names of the inputs of one parameter beside those of `adamwGraphNames`, and of the output of `scheduleFreeAverageGraph`. */
export const scheduleFreeGraphNames = {
  ...adamwGraphNames,
  z: (parameter: string): string => `z.${parameter}`,
  average: (parameter: string): string => `average/${parameter}`,
} as const;

const names = scheduleFreeGraphNames;

/**
 * One step of schedule-free AdamW (Defazio et al. 2024, arXiv 2405.15682) as an ONNX graph in float32.
 *
 *     ĝ = g/(√v/√(1 − β₂ᵗ) + eps) + wd·y,   weight = tʳ·(max lr so far)^power,   c = weight/Σ weights
 *     y ← (1 − c)·y + c·z + lr·(β₁(1 − c) − 1)·ĝ,   then   z ← z − lr·ĝ
 *
 * Inputs: `step` [] counted from 1, `learning_rates`, `lr_max` and `weight_sum` [groups], the last two 0 at first, and for each
 * parameter P `P` (y), `grad/P`, `z.P` (P at first), `exp_avg_sq.P`. Outputs: `new/…` of all but step, rates and gradients,
 * and `gradient_norm` [], before clipping. What is saved and sampled from is the average: `scheduleFreeAverageGraph`.
 *
 * @throws {OptimizerError} `BAD_PARAMETERS` without a parameter; a `GraphError` for two parameters of a name
 */
export function adamwScheduleFreeGraph(
  groups: readonly GraphGroup[],
  options: AdamwScheduleFreeGraphOptions = {},
): Graph {
  const { betas: [beta1, beta2] = [0.9, 0.999], eps = 1e-8, weightDecay = 0, maxGradNorm = 0 } = options;
  assertParameters(groups);
  const graph = new Graph('adamw_schedule_free');
  const step = graph.input('step', 'float32', []);
  const perGroup = (name: string): Value => graph.input(name, 'float32', [groups.length]);
  const [learningRates, largestSoFar, sumSoFar] = [
    perGroup('learning_rates'),
    perGroup('lr_max'),
    perGroup('weight_sum'),
  ];
  const items = groups.flatMap(({ parameters }, group) =>
    parameters.map(({ name, shape }) => ({
      name,
      group,
      y: graph.input(name, 'float32', shape),
      gradient: graph.input(names.gradient(name), 'float32', shape),
      z: graph.input(names.z(name), 'float32', shape),
      secondMoment: graph.input(names.secondMoment(name), 'float32', shape),
    })),
  );

  const norm = sqrt(items.map(({ gradient }) => squaredNorm(gradient)).reduce(add));
  graph.output('gradient_norm', norm);
  const one = scalar(graph, 1);
  const clip = maxGradNorm > 0 ? apply('Min', [div(maxGradNorm, add(norm, 1e-6)), one]) : null;

  const { warmupSteps = 0, r = 0, weightLrPower = 2 } = options;
  const rates = warmupSteps > 0 ? mul(learningRates, apply('Min', [div(step, warmupSteps), one])) : learningRates;
  const largest = apply('Max', [rates, largestSoFar]);
  const weight = mul(apply('Pow', [largest, scalar(graph, weightLrPower)]), apply('Pow', [step, scalar(graph, r)]));
  const sum = add(sumSoFar, weight);
  // At rate 0 there are no weights yet: 0 divided by the smallest number is 0 too.
  const shares = div(weight, apply('Max', [sum, scalar(graph, 1.2e-38)]));
  graph.output(names.updated('lr_max'), largest);
  graph.output(names.updated('weight_sum'), sum);

  const secondCorrection = sqrt(oneMinusPower(beta2, step));
  const factors = groups.map((_, k) => {
    const of = (values: Value): Value => apply('Gather', [values, index(graph, k)], { axis: 0 });
    const [rate, c] = [of(rates), of(shares)];
    return { rate, c, stay: sub(1, c), move: mul(rate, sub(mul(sub(1, c), beta1), 1)) };
  });

  for (const { name, group, y, gradient, z, secondMoment } of items) {
    const { rate, c, stay, move } = factors[group]!;
    const g = clip ? mul(gradient, clip) : gradient;
    const v = add(mul(secondMoment, beta2), mul(mul(g, g), 1 - beta2));
    const normalized = div(g, add(div(sqrt(v), secondCorrection), eps));
    const direction = weightDecay === 0 ? normalized : add(normalized, mul(y, weightDecay));
    graph.output(names.updated(name), add(add(mul(y, stay), mul(z, c)), mul(direction, move)));
    graph.output(names.updated(names.z(name)), sub(z, mul(direction, rate)));
    graph.output(names.updated(names.secondMoment(name)), v);
  }
  return graph;
}

/**
 * The parameters to save and to sample from, `x = y + (1 − 1/β₁)(z − y)`: inputs `P` and `z.P`, output `average/P` of each
 * parameter.
 *
 * @param beta1 the first of the betas, default 0.9
 * @throws {OptimizerError} `BAD_PARAMETERS` without a parameter
 */
export function scheduleFreeAverageGraph(groups: readonly GraphGroup[], beta1 = 0.9): Graph {
  assertParameters(groups);
  const graph = new Graph('schedule_free_average');
  for (const { name, shape } of groups.flatMap(({ parameters }) => parameters)) {
    const y = graph.input(name, 'float32', shape);
    const z = graph.input(names.z(name), 'float32', shape);
    graph.output(names.average(name), add(y, mul(sub(z, y), 1 - 1 / beta1)));
  }
  return graph;
}
