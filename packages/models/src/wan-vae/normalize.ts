import type { Graph, Value } from '@musubi/onnx-graph';

import { add, div, mul, sub } from '@musubi/onnx-graph';

/** Mean of each latent channel over the data on which the transformers were trained. */
const mean = [
  -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
  -0.9497, 0.2503, -0.2921,
];
/** Standard deviation of each. */
const deviation = [
  2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
  2.8251, 1.916,
];

export const normalizedChannels = mean.length;

/** `(x − mean)/deviation` of each channel, as a product with the rounded reciprocal like the original. */
export const normalize = (x: Value): Value => mul(sub(x, means(x.graph)), precisions(x.graph));

/** The inverse of {@link normalize}. */
export const denormalize = (x: Value): Value => add(div(x, precisions(x.graph)), means(x.graph));

const means = (graph: Graph): Value => perChannel(graph, Float32Array.from(mean));
const precisions = (graph: Graph): Value =>
  perChannel(
    graph,
    Float32Array.from(deviation, (s) => 1 / Math.fround(s)),
  );

const perChannel = (graph: Graph, data: Float32Array): Value =>
  graph.constant({ dtype: 'float32', shape: [data.length, 1, 1, 1], data });
