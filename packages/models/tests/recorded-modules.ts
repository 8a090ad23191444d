import type { HostTensor } from '@musubi/onnx-graph';

/** A module's recorded output: `name`, `name#1` for the second call of one that is called once an item. */
export const parseRecorded = (key: string): { module: string; call: number } => {
  const [module = '', call = '0'] = key.slice('inter.'.length).split('#');
  return { module, call: Number(call) };
};

/**
 * The numbers of our output in the layout in which the original's module has them.
 *
 * @param shape of the recorded tensor
 */
export function inRecordedLayout(key: string, ours: HostTensor, shape: readonly number[]): Float32Array {
  const { module, call } = parseRecorded(key);
  const data = ours.data as Float32Array;
  const [batch = 1] = ours.shape;
  const item = (b: number) => data.subarray((b * data.length) / batch, ((b + 1) * data.length) / batch);
  const count = shape.reduce((a, b) => a * b, 1);
  switch (module) {
    // [1, D, f, h, w], one call an item; ours is [B, S, D]
    case 'patch_embedding': {
      const width = shape[1] ?? 1;
      const tokens = count / width;
      return Float32Array.from(
        { length: count },
        (_, i) => item(call)[(i % tokens) * width + Math.floor(i / tokens)] ?? NaN,
      );
    }
    // the first rows of [B, L, D]
    case 'text_embedding':
      return concatenate(Array.from({ length: batch }, (_, b) => item(b).subarray(0, count / batch)));
    // version 2.2 repeats them for every token
    case 'time_embedding':
    case 'time_projection':
      return concatenate(
        Array.from({ length: batch }, (_, b) => Array.from({ length: count / data.length }, () => item(b))).flat(),
      );
    default:
      return data;
  }
}

const concatenate = (parts: readonly Float32Array[]): Float32Array => {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
};
