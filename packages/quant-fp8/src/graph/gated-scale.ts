import { apply, cast, concat, formatShape, int64s, reshape, slice } from '@musubi/onnx-graph';
import type { Value } from '@musubi/onnx-graph';

/** `scale` with nothing appended that only exists once all of `after` have been computed. */
export function gatedScale(scale: Value, after: readonly Value[]): Value {
  if (after.length === 0) return scale;
  const { graph } = scale;
  const rows = scale.shape.length === 0 ? reshape(scale, [1]) : scale;
  const none = [0, ...rows.shape.slice(1)];
  const nothing = after.map((value) => {
    const empty = slice(value.shape.length === 0 ? reshape(value, [1]) : value, 0, 0, 0);
    if (formatShape(empty.shape) === formatShape(none)) return cast(empty, scale.dtype);
    return cast(apply('Reshape', [empty, int64s(graph, none.map(Number))], { allowzero: 1 }), scale.dtype);
  });
  return concat([rows, ...nothing], 0);
}
