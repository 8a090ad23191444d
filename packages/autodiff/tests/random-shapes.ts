import type { Dim, Shape } from '@musubi/onnx-graph';

const axes: readonly Dim[] = ['B', 'S', 1, 2, 3];

/**
 * Shapes that broadcast together to one of up to three axes: one of them has all axes, each other lacks some of the
 * leading ones and has length 1 on some of the rest.
 */
export function broadcastingShapes(random: () => number, operands: number): Shape[] {
  const below = (n: number) => Math.floor(n * random());
  const whole = Array.from({ length: 1 + below(3) }, () => axes[below(axes.length)] ?? 1);
  const complete = below(operands);
  return Array.from({ length: operands }, (_, i) =>
    i === complete ? whole : whole.slice(below(whole.length + 1)).map((dim) => (below(3) === 0 ? 1 : dim)),
  );
}
