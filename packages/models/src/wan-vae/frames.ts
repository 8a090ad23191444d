import type { HostTensor } from '@musubi/onnx-graph';

/** A float32 tensor of zeros, `[B, C, F, H, W]`. */
export function zeroTensor(shape: readonly number[]): HostTensor {
  return { dtype: 'float32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
}

/** Frames `from … to` (exclusive) of one item of `[B, C, F, H, W]`, as `[1, C, to − from, H, W]`. */
export function framesOf(source: HostTensor, item: number, from: number, to: number): HostTensor {
  const [, C = 0, , H = 0, W = 0] = source.shape;
  const part = zeroTensor([1, C, to - from, H, W]);
  copyFrames(part, { item: 0, frame: 0 }, source, { item, frame: from }, to - from);
  return part;
}

/** Writes all frames of `part` `[1, C, T, H, W]` into one item of `target`, from frame `frame` on. */
export function putFrames(target: HostTensor, item: number, frame: number, part: HostTensor): void {
  copyFrames(target, { item, frame }, part, { item: 0, frame: 0 }, part.shape[2] ?? 0);
}

interface Place {
  readonly item: number;
  readonly frame: number;
}

function copyFrames(target: HostTensor, to: Place, source: HostTensor, from: Place, count: number): void {
  const [, C = 0, , H = 0, W = 0] = source.shape;
  const start = ({ shape }: HostTensor, { item, frame }: Place, channel: number) =>
    ((item * C + channel) * (shape[2] ?? 0) + frame) * H * W;
  const [into, values] = [target.data as Float32Array, source.data as Float32Array];
  for (let channel = 0; channel < C; channel++) {
    const first = start(source, from, channel);
    into.set(values.subarray(first, first + count * H * W), start(target, to, channel));
  }
}
