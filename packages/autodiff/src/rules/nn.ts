import { apply, neg } from '@musubi/onnx-graph';

import { type GradientRule, need } from './rule.ts';

export const nn = {
  /** A rotation's transpose is the rotation back: the same tables with the sine negated. */
  RotaryEmbedding: ({ node, inputs: [, offset, cosines, sines], cotangent }) => [
    () => apply('RotaryEmbedding', [cotangent(0), need(offset), need(cosines), neg(need(sines))], node.attributes),
    null,
    null,
    null,
  ],
} satisfies Record<string, GradientRule>;
