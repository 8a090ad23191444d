/** How a session spends memory. Plain data, so that it can be logged, changed and sent to a worker. */
export interface MemoryPlan {
  /** Copy float32 weights into the layout that matrix products like best; else they stay mapped from their file. */
  readonly prepackWeights: boolean;
  /** Keep freed memory for the next use instead of giving it back to the system, which fills it with zeros each time. */
  readonly arena: boolean;
  /** Reserve one block for all intermediate tensors of a shape seen before. */
  readonly memoryPattern: boolean;
  /** Compute at load time what depends on weights alone, which stores the result of each widening. */
  readonly foldConstants: boolean;
  /** Threads of an operator; undefined leaves it to ONNX Runtime (one a physical core). */
  readonly threads?: number;
}

export interface MemoryFacts {
  /**
   * What the model is made of, by default of products of tokens. Convolutions run three times as fast with the arena,
   * whatever the size of their weights.
   */
  readonly kind?: 'products' | 'convolutions';
  /** Attention is computed in pieces, which are many blocks of memory of many sizes. Default false. */
  readonly attentionInPieces?: boolean;
  /** Bytes of the frozen weights as stored. */
  readonly weightBytes: number;
  /** Physical memory of the machine in bytes. */
  readonly totalMemoryBytes: number;
  /** The weights are bfloat16, float16 or smaller and are widened inside the graph. Default false. */
  readonly narrowWeights?: boolean;
  /**
   * Bytes of weights in 8-bit integers, which products take as they are (`MatMulNBits`). These alone are packed then, once:
   * 2.2 times as fast as without, where the product widens them each time. Default 0.
   */
  readonly integerBytes?: number;
  /** In how many products each weight takes part: 2 in training (forward, backward), 1 in sampling. Default 2. */
  readonly usesPerWeight?: number;
  readonly threads?: number;
}

/**
 * Below this the tensors of a model are smaller than 32 MiB. The C library keeps such memory in fragments of its heap when
 * it is freed: with bfloat16 weights of 113 MB a process peaked at 918 MB without the arena, at 652 MB with it.
 */
const smallModelBytes = 512 * 2 ** 20;

/** What of the memory packed weights may take: activations, the operating system and the page cache need the rest. */
const packedShare = 1 / 4;

/** The plan that fits any model: no weight is copied. */
export const defaultMemoryPlan: MemoryPlan = {
  prepackWeights: false,
  arena: true,
  memoryPattern: false,
  foldConstants: false,
};

/**
 * Chooses memory options by the size of the model. Figures are of graphs of Linear layers, forward and backward:
 *
 * - packing costs the float32 weights once for each product they take part in (226 MB: 440 MB) and gains up to 6 % of
 *   speed; products change in their last bits;
 * - widening narrow weights without the arena costs 0.4 s a GB, in which the system zeroes pages (a run that widens
 *   2.3 GB: 2.8 s of processor time, 1.9 s with the arena); the peak is the same (976 and 956 MB), but where large
 *   buckets of many lengths are mixed it is up to 17 % higher with the arena (766 and 897 MB);
 * - attention in pieces has blocks that the C library keeps in fragments: two blocks of width 768 at 2048 tokens peaked at
 *   609 MiB above the weights without the arena, at 432 MiB with it;
 * - for large float32 models the arena gains 2 to 6 % and keeps the peak of the largest bucket, so they do without;
 * - the memory pattern doubles what a step keeps (394 against 772 MB at 2048 tokens) for nothing measurable.
 */
export function planMemory(facts: MemoryFacts): MemoryPlan {
  const { weightBytes, totalMemoryBytes, narrowWeights = false, integerBytes = 0, usesPerWeight = 2, threads } = facts;
  const { kind = 'products', attentionInPieces = false } = facts;
  const packedBytes = integerBytes > 0 ? integerBytes : weightBytes * usesPerWeight;
  return {
    prepackWeights: (integerBytes > 0 || !narrowWeights) && packedBytes <= totalMemoryBytes * packedShare,
    arena: kind === 'convolutions' || attentionInPieces || narrowWeights || weightBytes <= smallModelBytes,
    memoryPattern: false,
    foldConstants: !narrowWeights,
    ...(threads === undefined ? {} : { threads }),
  };
}
