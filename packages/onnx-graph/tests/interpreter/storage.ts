import type { Implementation } from './call.ts';

import { arrayTypeOf } from '../../src/dtype.ts';
import { fromHost, toHost, wrap } from './dtypes.ts';
import { axisOf, broadcastTo, map, offsets, stridesOf, zip } from './tensor.ts';

/** To integers towards zero, to truth values by `≠ 0`; floats stay doubles whatever their dtype. */
const cast: Implementation = (call) => {
  const to = call.node.outputs[0]?.dtype ?? 'float32';
  if (to === 'bool') return map(call.input(0), (x) => (x === 0 ? 0 : 1));
  if (to.includes('int')) return map(call.input(0), (x) => wrap(Math.trunc(x), to));
  return call.input(0);
};

/** The bytes of a tensor read as another type. */
const bitCast: Implementation = (call) => {
  const [from, to] = [call.node.inputs[0]?.dtype ?? 'float32', call.node.outputs[0]?.dtype ?? 'float32'];
  const { shape, data } = toHost(call.input(0), from);
  return fromHost({ dtype: to, shape, data: new (arrayTypeOf(to))(data.buffer as ArrayBuffer) });
};

/** `(x − zeroPoint)·scale`, the two given for the whole, for each place of `axis`, or for blocks of `block_size` of it. */
const dequantize: Implementation = (call) => {
  const [x, scale, zero] = [call.input(0), call.input(1), call.inputs[2]];
  const block = call.number('block_size', 0);
  const rank = x.shape.length;
  const axis = scale.shape.length === 0 ? 0 : axisOf(call.number('axis', 1), rank);
  const spread = (p: typeof scale) => {
    if (p.shape.length === 0) return broadcastTo(p, x.shape);
    if (block === 0) return broadcastTo({ ...p, shape: x.shape.map((d, i) => (i === axis ? d : 1)) }, x.shape);
    const strides = stridesOf(x.shape);
    const own = stridesOf(p.shape);
    const data = Float64Array.from(offsets(x.shape, strides), (flat) => {
      const place = strides.map((s, i) => Math.floor(flat / s) % (x.shape[i] ?? 1));
      const at = place.reduce((sum, k, i) => sum + (i === axis ? Math.floor(k / block) : k) * (own[i] ?? 0), 0);
      return p.data[at] ?? NaN;
    });
    return { shape: x.shape, data };
  };
  const zeros = zero ? spread(zero) : map(x, () => 0);
  return zip([x, zeros, spread(scale)], (v = NaN, z = NaN, s = NaN) => (v - z) * s);
};

/** `x·Wᵀ` with `W = (codes − 128)·scale`, in blocks along the rows. */
const matMulNBits: Implementation = (call) => {
  const [x, codes, scale] = [call.input(0), call.input(1), call.input(2)];
  const [N, K, block] = [call.number('N', 0), call.number('K', 0), call.number('block_size', 0)];
  const rows = x.data.length / K;
  const data = new Float64Array(rows * N);
  for (let row = 0; row < rows; row++) {
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        const w = ((codes.data[n * K + k] ?? NaN) - 128) * (scale.data[Math.floor((n * K + k) / block)] ?? NaN);
        data[row * N + n]! += (x.data[row * K + k] ?? NaN) * w;
      }
    }
  }
  return { shape: [...x.shape.slice(0, -1), N], data };
};

/**
 * Rotary position embedding of `[B, H, T, D]`: channel pairs turn by the angle of their position. Pairs are neighbours
 * when `interleaved`, else channel `i` and `i + D/2`; positions are one offset `[1]` or `[B, T]`.
 */
const rotaryEmbedding: Implementation = (call) => {
  const [x, positions, cosines, sines] = [call.input(0), call.input(1), call.input(2), call.input(3)];
  const [, heads, length, width] = x.shape as [number, number, number, number];
  const turned = call.number('rotary_embedding_dim', 0) || width;
  const half = turned / 2;
  const isInterleaved = call.number('interleaved', 0) === 1;
  return map(x, (value, flat) => {
    const channel = flat % width;
    if (channel >= turned) return value;
    const token = Math.floor(flat / width) % length;
    const batch = Math.floor(flat / (width * length * heads));
    const position =
      positions.data.length === 1
        ? (positions.data[0] ?? NaN) + token
        : (positions.data[batch * length + token] ?? NaN);
    const pair = isInterleaved ? Math.floor(channel / 2) : channel % half;
    const isFirst = isInterleaved ? channel % 2 === 0 : channel < half;
    const step = isInterleaved ? 1 : half;
    const partner = x.data[flat + (isFirst ? step : -step)] ?? NaN;
    const cos = cosines.data[position * half + pair] ?? NaN;
    const sin = sines.data[position * half + pair] ?? NaN;
    return isFirst ? value * cos - partner * sin : value * cos + partner * sin;
  });
};

export const storage = {
  Cast: cast,
  BitCast: bitCast,
  DequantizeLinear: dequantize,
  MatMulNBits: matMulNBits,
  RotaryEmbedding: rotaryEmbedding,
} satisfies Record<string, Implementation>;
