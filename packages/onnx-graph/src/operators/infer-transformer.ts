import type { Dim } from '../dim.ts';
import type { TensorType, Value } from '../graph.ts';
import type { Infer, OperatorCall } from './infer.ts';

import { dimDivide, formatShape } from '../dim.ts';
import { bytesPerElement, fromOnnxCode } from '../dtype.ts';
import { axisOf, present, requireDtype, requireFloat, sameDtype } from './shapes.ts';

/** Normalization over the trailing axes from `axis`: output, and the float32 statistics a gradient needs. */
export const normalization =
  (statistics: number): Infer =>
  (call) => {
    const x = call.input(0);
    requireFloat(call, x);
    const axis = axisOf(call, call.int('axis', -1), x.shape.length);
    sameDtype(call, present(call));
    for (const p of present(call).slice(1)) {
      if (p.shape.some((d, i) => d !== 1 && d !== x.shape[x.shape.length - p.shape.length + i])) {
        call.failShapes(`${p.name} does not fit axis ${axis}`);
      }
    }
    const statistic: TensorType = { dtype: 'float32', shape: x.shape.map((d, i): Dim => (i >= axis ? 1 : d)) };
    const all: TensorType[] = [{ dtype: x.dtype, shape: x.shape }];
    while (all.length < Math.min(1 + statistics, call.outputs ?? 1)) all.push(statistic);
    return all;
  };

/** `x` `[B, H, T, D]`; positions an offset `[1]` or `[B, T]`; tables `[T or more, D/2]`. */
export const rotary: Infer = (call) => {
  const [x, positions, cos, sin] = [call.input(0), call.input(1), call.input(2), call.input(3)];
  requireFloat(call, x);
  sameDtype(call, [x, cos, sin]);
  requireDtype(call, positions, 'int64');
  const [batch, , tokens, width] = x.shape;
  if (x.shape.length !== 4) call.failShapes('it takes [B, H, T, D]');
  const turned = call.int('rotary_embedding_dim') || (width ?? 1);
  const [rows, half] = cos.shape;
  if (cos.shape.length !== 2 || formatShape(cos.shape) !== formatShape(sin.shape) || half !== dimDivide(turned, 2)) {
    call.failShapes('the tables are [T, D/2]');
  }
  if (typeof rows === 'number' && typeof tokens === 'number' && rows < tokens) {
    call.failShapes(`the tables hold ${rows} positions`);
  }
  const isOffset = positions.shape.every((d) => d === 1) && positions.shape.length <= 1;
  if (!isOffset && formatShape(positions.shape) !== formatShape([batch ?? 1, tokens ?? 1])) {
    call.failShapes('positions are [1] or [B, T]');
  }
  return [{ dtype: x.dtype, shape: x.shape }];
};

/** `q` `[B, H, S, d]`, `k` `[B, H, L, d]`, `v` `[B, H, L, e]`; `[B, H, S, e]`. */
export const attention: Infer = (call) => {
  const [q, k, v] = [call.input(0), call.input(1), call.input(2)];
  requireFloat(call, q);
  sameDtype(call, [q, k, v]);
  if ([q, k, v].some(({ shape }) => shape.length !== 4)) call.failShapes('it takes [B, H, S, d]');
  const [batch = 1, heads = 1, tokens = 1, width = 1] = q.shape;
  const fits =
    formatShape(k.shape.slice(0, 3)) === formatShape(v.shape.slice(0, 3)) &&
    formatShape([batch, heads, width]) === formatShape([k.shape[0] ?? 1, k.shape[1] ?? 1, k.shape[3] ?? 1]);
  if (!fits) call.failShapes('queries, keys and values do not fit');
  return [{ dtype: q.dtype, shape: [batch, heads, tokens, v.shape[3] ?? 1] }];
};

/** The same of queries `[B, S, H·d]`, keys `[B, L, H·d]` and values `[B, L, H·e]`. */
export const multiHeadAttention: Infer = (call) => {
  const [q, k, v] = [call.input(0), call.input(1), call.input(2)];
  requireFloat(call, q);
  sameDtype(call, [q, k, v]);
  if ([q, k, v].some(({ shape }) => shape.length !== 3)) call.failShapes('it takes [B, S, H·d]');
  const [[batch = 1, tokens = 1, width = 1], out = 1] = [q.shape, v.shape[2]];
  const heads = call.int('num_heads', 1);
  const fits =
    formatShape(k.shape.slice(0, 2)) === formatShape(v.shape.slice(0, 2)) &&
    formatShape([batch, width]) === formatShape([k.shape[0] ?? 1, k.shape[2] ?? 1]) &&
    [width, out].every((size) => Number(size) % heads === 0);
  if (!fits) call.failShapes(`queries, keys, values and ${heads} heads do not fit`);
  return [{ dtype: q.dtype, shape: [batch, tokens, out] }];
};

const codes = ['int8', 'uint8', 'int16', 'uint16', 'int32', 'float8e4m3fn', 'float8e5m2'] as const;

/** One scale for all, one for each place of `axis`, or one for each block of `block_size` places of it. */
export const dequantize: Infer = (call) => {
  const [x, scale, zeroPoint] = [call.input(0), call.input(1), call.inputs[2]];
  requireDtype(call, x, ...codes);
  requireDtype(call, scale, 'float32', 'float16', 'bfloat16');
  if (zeroPoint) {
    sameDtype(call, [x, zeroPoint]);
    if (formatShape(zeroPoint.shape) !== formatShape(scale.shape)) call.failShapes('scale and zero point differ');
  }
  checkScale(call, x, scale);
  return [{ dtype: scale.dtype, shape: x.shape }];
};

/** `x·Wᵀ`, `W` `[N, K]` given as `[N, K / block_size, block_size]` codes with a scale each block. */
export const matMulNBits: Infer = (call) => {
  const [x, weight, scale] = [call.input(0), call.input(1), call.input(2)];
  requireDtype(call, x, 'float32', 'float16');
  requireDtype(call, weight, 'uint8');
  sameDtype(call, [x, scale]);
  const [K, N, block] = [call.int('K'), call.int('N'), call.int('block_size')];
  if (call.int('bits') !== 8) call.failShapes('codes have 8 bits here');
  if (x.shape.at(-1) !== K) call.failShapes(`the last axis is ${K}`);
  const blocks = [N, Math.ceil(K / block)];
  if (formatShape(weight.shape) !== formatShape([...blocks, block])) {
    call.failShapes(`the weight is ${formatShape([...blocks, block])}`);
  }
  if (formatShape(scale.shape) !== formatShape(blocks)) call.failShapes(`the scale is ${formatShape(blocks)}`);
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, -1), N] }];
};

function checkScale(call: OperatorCall, x: Value, scale: Value): void {
  if (scale.shape.length === 0) return;
  const axis = axisOf(call, call.int('axis', 1), x.shape.length);
  const length = x.shape[axis] ?? 1;
  const block = call.int('block_size');
  if (block === 0) {
    if (scale.shape.length !== 1 || scale.shape[0] !== length) call.failShapes(`the scale is [] or [${length}]`);
    return;
  }
  const blocks = typeof length === 'number' ? Math.ceil(length / block) : dimDivide(length, block);
  const expected = x.shape.map((d, i) => (i === axis ? (blocks ?? `${length}/${block}`) : d));
  if (formatShape(scale.shape) !== formatShape(expected)) call.failShapes(`the scale is ${formatShape(expected)}`);
}

export const cast: Infer = (call) => {
  const dtype = fromOnnxCode(call.int('to'));
  if (!dtype) return call.fail(`to type ${call.int('to')}.`, 'Use a type of dtype.ts.');
  return [{ dtype, shape: call.input(0).shape }];
};

/** The same bits as a type of the same width. */
export const bitCast: Infer = (call) => {
  const types = cast(call);
  const { name, dtype } = call.input(0);
  if (types.some((to) => bytesPerElement(to.dtype) !== bytesPerElement(dtype))) {
    call.fail(`of ${name}, which is ${dtype}, to type ${call.int('to')}.`, 'Use a type of the same width.');
  }
  return types;
};
