import { add, apply, div, Graph, min, mul, scalar, sqrt, sub, type Value } from '@musubi/onnx-graph';

import { assertParameters, type GraphGroup, index, oneMinusPower, sumByRows, sumOf } from './internal/graph-parts.ts';
import { join, joinable, joinedShape, split } from './internal/join.ts';

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
  /** Take `gradient_scale` [], by which gradients are multiplied first, e.g. 1/n for the sum over n batches. Default false. */
  readonly scalesGradients?: boolean;
  /**
   * Take what rates and step number amount to as inputs, see {@link adamwFactors}, in place of `step` and
   * `learning_rates`: for devices whose functions are rough, or which do not compute some of them. Default false.
   */
  readonly factorsAsInputs?: boolean;
  /** Give `weight_sum` [], the sum of all new weights: it is no number where one of them is not. Default false. */
  readonly sumsWeights?: boolean;
  /**
   * Compute parameters of one group as one, joined along their first axis, where their other axes are equal: for devices
   * where a kernel takes more time to start than to run. Moments stay joined, see {@link adamwMoments}. Default false.
   */
  readonly joinsParameters?: boolean;
}

/** Parameters whose moments are in one tensor. */
export interface AdamwMoments {
  /** The P of `exp_avg.P` and `exp_avg_sq.P`: the parameter, or a name of their own for several. */
  readonly name: string;
  readonly shape: readonly number[];
  /** In the order in which they lie along the first axis. */
  readonly parameters: AdamwGraphGroup['parameters'];
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
 * gradients before clipping, whose square must be a float32. All are float32; the moments have the keys of the optimizer's
 * state.
 *
 * @throws {OptimizerError} `BAD_PARAMETERS` without a parameter; a `GraphError` for two parameters of a name
 */
export function adamwGraph(groups: readonly AdamwGraphGroup[], options: AdamwGraphOptions = {}): Graph {
  const { betas: [beta1, beta2] = defaultBetas, maxGradNorm = 0, scalesGradients = false } = options;
  assertParameters(groups);
  const graph = new Graph('adamw');
  const factors = options.factorsAsInputs
    ? factorInputs(graph, groups.length, options)
    : computedFactors(graph, groups.length, options);
  const items = joinsOf(groups, options).map((joined) => ({ ...joined, ...inputsOf(graph, joined) }));
  const total = options.joinsParameters ? sumByRows : sumOf;

  const scale = scalesGradients ? graph.input('gradient_scale', 'float32', []) : null;
  const unscaled = sqrt(items.map(({ gradient }) => total(mul(gradient, gradient))).reduce(add));
  const norm = scale ? mul(unscaled, scale) : unscaled;
  graph.output('gradient_norm', norm);
  const share = shareOfGradient(norm, maxGradNorm, scale);
  // one constant for all parameters
  const [firstShare, secondKeep, secondShare] = [1 - beta1, beta2, 1 - beta2].map((x) => scalar(graph, x)) as Three;
  const sums: Value[] = [];

  for (const { group, parameters, parameter, gradient, firstMoment, secondMoment } of items) {
    const { keep, rate } = factors.groups[group]!;
    const g = share === null ? gradient : mul(gradient, share);
    const m = add(firstMoment, mul(sub(g, firstMoment), firstShare));
    const v = add(mul(secondMoment, secondKeep), mul(mul(g, secondShare), g));
    const change = div(mul(m, rate), add(sqrt(v), factors.smallest));
    const p = sub(keep ? mul(parameter, keep) : parameter, change);
    split(p, parameters).forEach((part, i) => graph.output(adamwGraphNames.updated(parameters[i]!.name), part));
    graph.output(adamwGraphNames.updated(firstMoment.name), m);
    graph.output(adamwGraphNames.updated(secondMoment.name), v);
    if (options.sumsWeights) sums.push(total(p));
  }
  if (options.sumsWeights) graph.output('weight_sum', sums.reduce(add));
  return graph;
}

/** The moments of the graph that the same arguments make. */
export const adamwMoments = (
  groups: readonly AdamwGraphGroup[],
  options: AdamwGraphOptions = {},
): readonly AdamwMoments[] => joinsOf(groups, options);

const defaultBetas = [0.9, 0.999] as const;
const defaultEps = 1e-8;
const defaultWeightDecay = 0.01;
type Three = [Value, Value, Value];

/** What all weights share in a step. With c₁ = 1 − β₁ᵗ and c₂ = √(1 − β₂ᵗ), so that a weight takes one division. */
interface Factors {
  /** eps·c₂ */
  readonly smallest: Value;
  readonly groups: readonly {
    /** 1 − lr·wd; null without weight decay */
    readonly keep: Value | null;
    /** lr·c₂/c₁ */
    readonly rate: Value;
  }[];
}

function computedFactors(graph: Graph, count: number, options: AdamwGraphOptions): Factors {
  const { betas: [beta1, beta2] = defaultBetas, eps = defaultEps, weightDecay = defaultWeightDecay } = options;
  const step = graph.input('step', 'float32', []);
  const learningRates = graph.input('learning_rates', 'float32', [count]);
  const first = oneMinusPower(beta1, step);
  const second = sqrt(oneMinusPower(beta2, step));
  return {
    smallest: mul(second, eps),
    groups: Array.from({ length: count }, (_, k) => {
      const rate = apply('Gather', [learningRates, index(graph, k)], { axis: 0 });
      return {
        keep: weightDecay === 0 ? null : sub(1, mul(rate, weightDecay)),
        rate: mul(div(rate, first), second),
      };
    }),
  };
}

function factorInputs(graph: Graph, count: number, { weightDecay }: AdamwGraphOptions): Factors {
  return {
    smallest: graph.input('smallest', 'float32', []),
    groups: Array.from({ length: count }, (_, k) => ({
      keep: weightDecay === 0 ? null : graph.input(`keep.${k}`, 'float32', []),
      rate: graph.input(`rate.${k}`, 'float32', []),
    })),
  };
}

/**
 * What the graph takes with `factorsAsInputs` at a step, counted from 1: for each group k `rate.k` and, with weight decay,
 * `keep.k`, and `smallest`, all of shape []. They are computed in doubles and rounded once, as those of the optimizer on
 * arrays are.
 */
export function adamwFactors(
  step: number,
  learningRates: readonly number[],
  options: AdamwGraphOptions = {},
): Record<string, number> {
  const { betas: [beta1, beta2] = defaultBetas, eps = defaultEps, weightDecay = defaultWeightDecay } = options;
  const first = 1 - beta1 ** step;
  const second = Math.fround(Math.sqrt(1 - beta2 ** step));
  const entries = learningRates.flatMap((rate, k): [string, number][] => [
    [`rate.${k}`, Math.fround(Math.fround(rate / first) * second)],
    ...(weightDecay === 0 ? [] : [[`keep.${k}`, Math.fround(1 - rate * weightDecay)] satisfies [string, number]]),
  ]);
  return { smallest: Math.fround(Math.fround(eps) * second), ...Object.fromEntries(entries) };
}

/** By what gradients are multiplied: min(1, maxNorm / (norm + 1e-6)) and the scale that the norm has already. */
function shareOfGradient(norm: Value, maxNorm: number, scale: Value | null): Value | null {
  if (maxNorm <= 0) return scale;
  const clip = min(div(maxNorm, add(norm, 1e-6)), 1);
  return scale ? mul(clip, scale) : clip;
}

function joinsOf(groups: readonly AdamwGraphGroup[], { joinsParameters = false }: AdamwGraphOptions): Joined[] {
  return groups
    .flatMap(({ parameters }, group) =>
      (joinsParameters ? joinable(parameters) : parameters.map((one) => [one])).map((some) => ({ group, some })),
    )
    .map(({ group, some }, k) => ({
      group,
      name: some.length === 1 ? some[0]!.name : `joined/${k}`,
      shape: joinedShape(some),
      parameters: some,
    }));
}

interface Joined extends AdamwMoments {
  readonly group: number;
}

function inputsOf(graph: Graph, { name, shape, parameters }: Joined) {
  const joined = (nameOf: (parameter: string) => string): Value =>
    join(parameters.map((one) => graph.input(nameOf(one.name), 'float32', one.shape)));
  return {
    parameter: joined((parameter) => parameter),
    gradient: joined(adamwGraphNames.gradient),
    firstMoment: graph.input(adamwGraphNames.firstMoment(name), 'float32', shape),
    secondMoment: graph.input(adamwGraphNames.secondMoment(name), 'float32', shape),
  };
}
