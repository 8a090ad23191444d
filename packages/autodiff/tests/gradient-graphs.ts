import type { AttentionChunks, Value } from '@musubi/onnx-graph';

import { Graph } from '@musubi/onnx-graph';

import { type Tensor64, interpret, randomTensor } from '../../onnx-graph/tests/interpreter/index.ts';
import { vjp } from '../src/index.ts';
import { type GradientCase, drawLengths } from './gradient-cases.ts';

export interface Prepared {
  readonly forward: Graph;
  readonly wrt: string[];
  readonly outputs: string[];
  readonly feeds: Record<string, Tensor64>;
  readonly attention: AttentionChunks;
}

/** The graph of a case with random numbers for its inputs. */
export function prepare(
  { inputs, build, attention = { chunks: 1, rows: 1 } }: GradientCase,
  random: () => number,
): Prepared {
  const forward = new Graph('case');
  const lengths = drawLengths(random);
  const feeds: Record<string, Tensor64> = {};
  const values = inputs.map(({ shape, from, to }, i): Value => {
    const concrete = shape.map((d) => (typeof d === 'number' ? d : (lengths[d] ?? 0)));
    feeds[`x${i}`] = randomTensor(random, concrete, from, to);
    return forward.input(`x${i}`, 'float32', shape);
  });
  build(...values).forEach((value, i) => forward.output(`y${i}`, value));
  const wrt = inputs.flatMap(({ wrt: trained = true }, i) => (trained ? [`x${i}`] : []));
  return { forward, wrt, outputs: forward.outputs.map((o) => o.name), feeds, attention };
}

/** The gradient graph with its outputs, and random cotangents for the outputs of the forward graph. */
export function differentiate({ forward, wrt, outputs, feeds, attention }: Prepared, random: () => number) {
  const { graph, gradients } = vjp(forward, outputs, wrt, { attention: () => attention });
  gradients.forEach((g, i) => graph.output(`grad/${wrt[i]}`, g));
  const values = interpret(forward, feeds);
  const cotangents: Record<string, Tensor64> = {};
  const seeds: Record<string, Tensor64> = {};
  for (const name of outputs) {
    const shape = values[name]?.shape ?? [];
    const cotangent = `cotangent/${name}`;
    const given = graph.inputs.some((v) => v.name === cotangent);
    cotangents[name] = given ? randomTensor(random, shape) : { shape, data: Float64Array.of(1) };
    if (given) seeds[cotangent] = cotangents[name];
  }
  return { graph, cotangents, seeds };
}
