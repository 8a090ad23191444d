import type { Dim } from '../dim.ts';
import type { Infer, OperatorCall } from './infer.ts';

import { dimAdd, dimFloorDivide, dimMul } from '../dim.ts';
import { present, requireFloat, requireNumber, sameDtype } from './shapes.ts';

/** `x` `[N, C, …]`, weight `[M, C/group, …kernel]`, bias `[M]`. */
export const convolution: Infer = (call) => {
  const [x, weight, bias] = [call.input(0), call.input(1), call.inputs[2]];
  requireFloat(call, x);
  const dtype = sameDtype(call, present(call));
  const [N = 1, C = 1, ...spatial] = x.shape;
  const [M = 1, share = 1, ...kernel] = weight.shape;
  if (spatial.length === 0 || kernel.length !== spatial.length) call.failShapes('it takes [N, C, …] and [M, C, …]');

  const group = call.int('group', 1);
  if (dimMul(share, group) !== C) call.failShapes(`${group} groups of ${share} channels are not ${C}`);
  if (typeof M !== 'number' || M % group !== 0) call.failShapes(`${M} channels do not divide into ${group} groups`);
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== M)) call.failShapes(`the bias is [${M}]`);
  if (call.string('auto_pad', 'NOTSET') !== 'NOTSET') call.failAttribute('with auto_pad.', 'Give pads.');

  const stated = call.ints('kernel_shape');
  if (stated && stated.join() !== kernel.join())
    call.failAttribute(`with kernel_shape ${stated.join()}.`, 'Leave it out.');
  const lists = listsOf(call, spatial.length);
  const shape = spatial.map((length, i) => windows(call, length, kernel[i] ?? 1, lists(i)));
  return [{ dtype, shape: [N, M, ...shape] }];
};

interface Window {
  readonly pad: number;
  readonly stride: number;
  readonly dilation: number;
}

/** The attributes of one spatial axis. */
function listsOf(call: OperatorCall, axes: number): (axis: number) => Window {
  const list = (name: string, count: number, least: number) => {
    const values = call.ints(name);
    if (values && (values.length !== count || values.some((v) => v < least))) {
      call.failAttribute(`with ${name} ${values.join()}.`, `It has ${count} of at least ${least}.`);
    }
    return (i: number) => values?.[i] ?? least;
  };
  const [pads, strides, dilations] = [list('pads', 2 * axes, 0), list('strides', axes, 1), list('dilations', axes, 1)];
  return (i) => ({ pad: pads(i) + pads(i + axes), stride: strides(i), dilation: dilations(i) });
}

/** `⌊(length + pad − dilation·(kernel − 1) − 1) / stride⌋ + 1` */
function windows(call: OperatorCall, length: Dim, kernel: Dim, { pad, stride, dilation }: Window): Dim {
  if (typeof kernel !== 'number') return call.failShapes('the kernel has a symbolic length');
  const rest = dimAdd(length, pad - dilation * (kernel - 1) - 1);
  if (typeof rest === 'number' && rest < 0) call.failShapes(`a kernel of ${kernel} does not fit ${length}`);
  const steps = dimFloorDivide(rest, stride);
  return steps === undefined ? call.failShapes(`cannot tell the length from (${rest})/${stride}`) : dimAdd(steps, 1);
}

/** Repeats elements: whole constant scales only, where all definitions of the nearest element agree. */
export const resize: Infer = (call) => {
  const [x, roi, scales] = [call.input(0), call.inputs[1], call.input(2)];
  requireNumber(call, x);
  const asked = [
    call.string('mode', 'nearest'),
    call.string('coordinate_transformation_mode', 'half_pixel'),
    call.string('nearest_mode', 'round_prefer_floor'),
  ].join(', ');
  if (asked !== 'nearest, asymmetric, floor' || roi) {
    call.failAttribute(`with ${asked}${roi ? ' and a region' : ''}.`, 'It is nearest, asymmetric, floor here.');
  }
  if (scales.dtype !== 'float32') call.fail(`by ${scales.name}, which is ${scales.dtype}.`, 'Scales are float32.');
  const factors = scales.data ? Array.from(scales.data.data as Float32Array) : undefined;
  if (factors?.length !== x.shape.length || !factors.every((f) => Number.isInteger(f) && f > 0)) {
    return call.failShapes('the scales must be a constant, one whole number an axis');
  }
  return [{ dtype: x.dtype, shape: x.shape.map((d, i) => dimMul(d, factors[i] ?? 1)) }];
};
