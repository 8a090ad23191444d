import type { Implementation } from './call.ts';
import type { Tensor64 } from './tensor.ts';

import { map, sizeOf, stridesOf } from './tensor.ts';

/** `y[n, m, p] = b[m] + Σ_{c, k} x[n, c, p·stride − pad + k·dilation]·w[m, c, k]`, zero outside of `x`. */
const convolution: Implementation = (call) => {
  const [x, weight, bias] = [call.input(0), call.input(1), call.inputs[2]];
  const [N, C, ...spatial] = x.shape as [number, number, ...number[]];
  const [M, share, ...kernel] = weight.shape as [number, number, ...number[]];
  const perGroup = M / call.number('group', 1);
  const axes = spatial.map((length, i) => ({
    length,
    before: call.ints('pads')?.[i] ?? 0,
    padding: (call.ints('pads')?.[i] ?? 0) + (call.ints('pads')?.[i + spatial.length] ?? 0),
    stride: call.ints('strides')?.[i] ?? 1,
    dilation: call.ints('dilations')?.[i] ?? 1,
    kernel: kernel[i] ?? NaN,
  }));
  const places = axes.map((a) => Math.floor((a.length + a.padding - a.dilation * (a.kernel - 1) - 1) / a.stride) + 1);

  const inner = stridesOf(spatial);
  const taps = placesOf(kernel);
  const data = new Float64Array(N * M * sizeOf(places));
  let at = 0;
  for (let n = 0; n < N; n++) {
    for (let m = 0; m < M; m++) {
      const firstChannel = Math.floor(m / perGroup) * share;
      for (const place of placesOf(places)) {
        let sum = bias?.data[m] ?? 0;
        taps.forEach((tap, k) => {
          const from = axes.map((a, i) => (place[i] ?? NaN) * a.stride - a.before + (tap[i] ?? NaN) * a.dilation);
          if (from.some((p, i) => p < 0 || p >= (spatial[i] ?? NaN))) return;
          const offset = from.reduce((total, p, i) => total + p * (inner[i] ?? NaN), 0);
          for (let c = 0; c < share; c++) {
            const value = x.data[(n * C + firstChannel + c) * sizeOf(spatial) + offset] ?? NaN;
            sum += value * (weight.data[(m * share + c) * taps.length + k] ?? NaN);
          }
        });
        data[at++] = sum;
      }
    }
  }
  return { shape: [N, M, ...places], data };
};

/** Every index of a tensor of that shape, row-major. */
function placesOf(shape: readonly number[]): number[][] {
  const strides = stridesOf(shape);
  return Array.from({ length: sizeOf(shape) }, (_, flat) =>
    strides.map((stride, i) => Math.floor(flat / stride) % (shape[i] ?? NaN)),
  );
}

/** The element at `⌊place / scale⌋`. */
const resize: Implementation = (call) => {
  const [x, scales] = [call.input(0), call.input(2)];
  const shape = x.shape.map((length, i) => Math.floor(length * (scales.data[i] ?? NaN)));
  const own = stridesOf(x.shape);
  const strides = stridesOf(shape);
  const empty: Tensor64 = { shape, data: new Float64Array(sizeOf(shape)) };
  return map(empty, (_, flat) => {
    const place = strides.map((stride, i) => Math.floor(flat / stride) % (shape[i] ?? NaN));
    const from = place.reduce((sum, p, i) => sum + Math.floor(p / (scales.data[i] ?? NaN)) * (own[i] ?? NaN), 0);
    return x.data[from] ?? NaN;
  });
};

export const spatial = {
  Conv: convolution,
  Resize: resize,
} satisfies Record<string, Implementation>;
