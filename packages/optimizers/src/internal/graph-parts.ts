import { add, exp, mul, neg, reduceSum, reshape, scalar, tanh } from '@musubi/onnx-graph';
import type { Graph, Value } from '@musubi/onnx-graph';

import { OptimizerError } from '../errors.ts';

/** Parameters that share a learning rate; a `ParameterGroup` is one. */
export interface GraphGroup {
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/** @throws {OptimizerError} `BAD_PARAMETERS` */
export function assertParameters(groups: readonly GraphGroup[]): void {
  if (groups.some(({ parameters }) => parameters.length > 0)) return;
  const remedy = 'Pass at least one group with a parameter.';
  const facts = { option: 'groups', value: groups.length };
  throw new OptimizerError('BAD_PARAMETERS', 'There is no parameter to train.', remedy, facts);
}

/** Sum of squares of a tensor of any shape. */
export const squaredNorm = (gradient: Value): Value => sumOf(mul(gradient, gradient));

/** Sum of all elements of a tensor of any shape. */
export function sumOf(x: Value): Value {
  const axes = x.shape.map((_, axis) => axis);
  return axes.length === 0 ? x : reduceSum(x, axes, false);
}

/** The same for large ones: each sum is the work of one group of threads, so first of rows, as many as one is long. */
export function sumByRows(x: Value): Value {
  const size = x.shape.reduce<number>((product, n) => product * Number(n), 1);
  let rows = Math.floor(Math.sqrt(size));
  while (size % rows !== 0) rows--;
  return sumOf(reduceSum(reshape(x, [rows, size / rows]), [1], false));
}

/**
 * `1 − βᵗ` without cancellation in float32: with x = t·ln β, `1 − eˣ = −tanh(x/2)·(eˣ + 1)`. The plain difference would be
 * wrong by 6e-5 at the first step of β = 0.999.
 */
export function oneMinusPower(beta: number, step: Value): Value {
  if (beta === 0) return scalar(step.graph, 1);
  const x = mul(step, Math.log(beta));
  return neg(mul(tanh(mul(x, 0.5)), add(exp(x), 1)));
}

/** A constant index. */
export function index(graph: Graph, k: number): Value {
  return graph.constant({ dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(k)) });
}
