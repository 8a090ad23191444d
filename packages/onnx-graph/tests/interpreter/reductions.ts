import type { Call, Implementation } from './call.ts';
import type { Tensor64 } from './tensor.ts';

import { axisOf, broadcastTo, map, sizeOf, transpose, zip } from './tensor.ts';

/** The elements along `axes`, one row for every place of the other axes. */
function rowsOf(x: Tensor64, axes: readonly number[]): Float64Array[] {
  const kept = [...x.shape.keys()].filter((a) => !axes.includes(a));
  const { data } = transpose(x, [...kept, ...axes]);
  const length = sizeOf(axes.map((a) => x.shape[a] ?? NaN));
  const count = sizeOf(kept.map((a) => x.shape[a] ?? NaN));
  return Array.from({ length: count }, (_, i) => data.subarray(i * length, (i + 1) * length));
}

const sum = (row: Float64Array): number => row.reduce((a, b) => a + b, 0);
const mean = (row: Float64Array): number => sum(row) / row.length;

/** Without axes all are reduced together, or each element by itself where `noop_with_empty_axes` says so. */
const reduction =
  (f: (row: Float64Array, whole: boolean) => number): Implementation =>
  (call) => {
    const x = call.input(0);
    const all = [...x.shape.keys()];
    const given = (call.integers(1) ?? []).map((a) => axisOf(a, all.length));
    const whole = call.dtype(0).includes('int');
    if (given.length === 0 && call.number('noop_with_empty_axes', 0) === 1) {
      return map(x, (v) => f(Float64Array.of(v), whole));
    }
    const axes = given.length === 0 ? all : given;
    const keep = call.number('keepdims', 1) === 1;
    const shape = x.shape.flatMap((d, i) => (axes.includes(i) ? (keep ? [1] : []) : [d]));
    return { shape, data: Float64Array.from(rowsOf(x, axes), (row) => f(row, whole)) };
  };

/** `e^{x − max} / Σ e^{x − max}` along an axis. */
const softmax: Implementation = (call) => {
  const x = call.input(0);
  const last = x.shape.length - 1;
  const axis = axisOf(call.number('axis', -1), x.shape.length);
  const rows = rowsOf(x, [axis]).flatMap((row) => {
    const powers = row.map((v) => Math.exp(v - Math.max(...row)));
    const total = sum(powers);
    return Array.from(powers, (p) => p / total);
  });
  const perm = [...x.shape.keys()].filter((a) => a !== axis).concat(axis);
  const y = { shape: perm.map((p) => x.shape[p] ?? NaN), data: Float64Array.from(rows) };
  return transpose(
    y,
    [...x.shape.keys()].map((a) => (a === axis ? last : a < axis ? a : a - 1)),
  );
};

/** `softmax(scale·q·kᵀ)·v`, row by row. */
const attention: Implementation = (call) =>
  attentionOf(call.input(0), call.input(1), call.input(2), call.number('scale', NaN));

function attentionOf(q: Tensor64, k: Tensor64, v: Tensor64, given: number): Tensor64 {
  const [tokens = 0, width = 0] = q.shape.slice(2);
  const [keys = 0, out = 0] = v.shape.slice(2);
  const scale = Number.isNaN(given) ? 1 / Math.sqrt(width) : given;
  const data = new Float64Array((q.data.length / (width || 1)) * out);
  for (let row = 0; row < data.length / (out || 1); row++) {
    const head = Math.floor(row / tokens) * keys;
    const scores = Float64Array.from({ length: keys }, (_, j) => {
      let dot = 0;
      for (let i = 0; i < width; i++) dot += (q.data[row * width + i] ?? NaN) * (k.data[(head + j) * width + i] ?? NaN);
      return scale * dot;
    });
    const powers = scores.map((x) => Math.exp(x - Math.max(...scores)));
    const total = sum(powers);
    powers.forEach((p, j) => {
      for (let i = 0; i < out; i++) data[row * out + i]! += (p / total) * (v.data[(head + j) * out + i] ?? NaN);
    });
  }
  return { shape: [...q.shape.slice(0, 3), out], data };
}

/** The same with heads side by side. */
const multiHeadAttention: Implementation = (call) => {
  const heads = call.number('num_heads', 1);
  const apart = (x: Tensor64): Tensor64 => {
    const [batch = 0, length = 0, width = 0] = x.shape;
    return swapMiddle({ shape: [batch, length, heads, width / heads], data: x.data });
  };
  const y = attentionOf(apart(call.input(0)), apart(call.input(1)), apart(call.input(2)), call.number('scale', NaN));
  const { shape, data } = swapMiddle(y);
  return { shape: [shape[0] ?? 0, shape[1] ?? 0, heads * (shape[3] ?? 0)], data };
};

/** Swaps the two axes in the middle of four. */
function swapMiddle({ shape, data }: Tensor64): Tensor64 {
  const [a = 0, b = 0, c = 0, d = 0] = shape;
  const swapped = Float64Array.from(data, (_, flat) => {
    const [i, k, j, l] = [
      Math.floor(flat / (c * b * d)),
      Math.floor(flat / (b * d)) % c,
      Math.floor(flat / d) % b,
      flat % d,
    ];
    return data[((i * b + j) * c + k) * d + l] ?? NaN;
  });
  return { shape: [a, c, b, d], data: swapped };
}

/** `(x − centre)·invStd·scale + bias` over the axes from `axis` on, with the statistics used. */
function normalize(call: Call, isCentred: boolean): Tensor64[] {
  const [x, scale, bias] = [call.input(0), call.input(1), call.inputs[2]];
  const axis = axisOf(call.number('axis', -1), x.shape.length);
  const epsilon = call.number('epsilon', 1e-5);
  const rows = rowsOf(x, [...x.shape.keys()].slice(axis));
  const shape = x.shape.map((d, i) => (i < axis ? d : 1));
  const centre: Tensor64 = { shape, data: Float64Array.from(rows, (row) => (isCentred ? mean(row) : 0)) };
  const invStd: Tensor64 = {
    shape,
    data: Float64Array.from(
      rows,
      (row, i) => 1 / Math.sqrt(mean(row.map((v) => (v - (centre.data[i] ?? NaN)) ** 2)) + epsilon),
    ),
  };
  const normal = zip(
    [x, centre, invStd, broadcastTo(scale, x.shape)],
    (v = NaN, c = NaN, s = NaN, w = NaN) => (v - c) * s * w,
  );
  const y = bias ? zip([normal, broadcastTo(bias, x.shape)], (v = NaN, b = NaN) => v + b) : normal;
  return isCentred ? [y, centre, invStd] : [y, invStd];
}

export const reductions = {
  ReduceSum: reduction(sum),
  ReduceMean: reduction((row, whole) => (whole ? Math.trunc(mean(row)) : mean(row))),
  ReduceL2: reduction((row, whole) => {
    const norm = Math.sqrt(row.reduce((total, x) => total + x * x, 0));
    return whole ? Math.trunc(norm) : norm;
  }),
  ReduceMax: reduction((row) => row.reduce((a, b) => Math.max(a, b), -Infinity)),
  Softmax: softmax,
  Attention: attention,
  MultiHeadAttention: multiHeadAttention,
  LayerNormalization: (call) => normalize(call, true),
  SimplifiedLayerNormalization: (call) => normalize(call, false),
} satisfies Record<string, Implementation>;
