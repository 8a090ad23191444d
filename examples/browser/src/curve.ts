/** Where the curve is drawn, in units of the picture. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Smallest and largest value of all series, with some room where they are equal. */
export function rangeOf(series: readonly (readonly number[])[]): { readonly low: number; readonly high: number } {
  let low = Infinity;
  let high = -Infinity;
  for (const values of series) {
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (!(low < high)) return { low: low - 0.5, high: low + 0.5 };
  return { low, high };
}

/**
 * The `d` of a path through all values, the first at the left edge, the last of `count` at the right.
 *
 * @param most points; of more values only each k-th is drawn, and the last
 */
export function curvePath(
  values: readonly number[],
  count: number,
  { low, high }: { readonly low: number; readonly high: number },
  frame: Frame,
  most = 600,
): string {
  const each = Math.max(1, Math.ceil(values.length / most));
  const x = (i: number) => frame.left + ((frame.right - frame.left) * i) / Math.max(1, count - 1);
  const y = (value: number) => frame.bottom - ((frame.bottom - frame.top) * (value - low)) / (high - low);
  const points: string[] = [];
  values.forEach((value, i) => {
    if (i % each === 0 || i === values.length - 1) points.push(`${x(i).toFixed(1)},${y(value).toFixed(1)}`);
  });
  return points.length === 0 ? '' : `M${points.join('L')}`;
}
