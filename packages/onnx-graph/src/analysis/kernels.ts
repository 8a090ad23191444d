import type { Node } from '../graph.ts';
import type { Sizes } from './sizes.ts';

/** Whose memory an output may use. */
export interface MemoryUse {
  /** Inputs of which the output is another view. */
  readonly views: readonly number[];
  /** Inputs that the output may be written over. */
  readonly inPlace: readonly number[];
}

const none: MemoryUse = { views: [], inPlace: [] };
const view: MemoryUse = { views: [0], inPlace: [] };
const overFirst: MemoryUse = { views: [], inPlace: [0] };

/** Found by comparing with the bytes in use that profiles of ONNX Runtime 1.30 give after each node. */
const table: Readonly<Record<string, MemoryUse>> = {
  Reshape: view,
  Squeeze: view,
  Unsqueeze: view,
  Flatten: view,
  Identity: view,
  Cast: overFirst,
  Relu: overFirst,
  Sigmoid: overFirst,
  Tanh: overFirst,
  Softmax: overFirst,
};

/** What memory the CPU kernel of a node may use for its first output instead of new one. */
export function memoryUse({ op }: Node, output: number): MemoryUse {
  return (output === 0 && Object.hasOwn(table, op) ? table[op] : undefined) ?? none;
}

/** Bytes that a node needs only while it runs, beside its outputs. */
export function scratchBytes({ op, inputs, attributes }: Node, sizes: Sizes): number {
  const [x, y] = inputs;
  if (op === 'Attention' && x && y) {
    // all scores at once
    const heads = (value: typeof x, attribute: string) =>
      value.shape.length === 4 ? (sizes.shape(value)[1] ?? 1) : Number(attributes[attribute] ?? 1);
    const [batch = 1] = sizes.shape(x);
    const length = (value: typeof x) => sizes.shape(value).at(-2) ?? 1;
    return 4 * batch * heads(x, 'q_num_heads') * length(x) * length(y);
  }
  if (op === 'MatMulNBits' && x) {
    // A copy of the weight in float32, where it is not packed.
    return 4 * Number(attributes['K'] ?? 0) * Number(attributes['N'] ?? 0);
  }
  return 0;
}
