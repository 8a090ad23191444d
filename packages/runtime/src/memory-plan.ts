/** How a session spends memory. Plain data, so that it can be logged, changed and sent to a worker. */
export interface MemoryPlan {
  /** Copy float32 weights into the layout that matrix products like best; else they stay mapped from their file. */
  readonly prepackWeights: boolean;
  /** Keep freed memory for the next run instead of giving it back. */
  readonly arena: boolean;
  /** Reserve one block for all intermediate tensors of a shape seen before. */
  readonly memoryPattern: boolean;
  /** Compute at load time what depends on weights alone, which stores the result of each widening. */
  readonly foldConstants: boolean;
  /** Threads of an operator; undefined leaves it to ONNX Runtime (one a physical core). */
  readonly threads?: number;
}

export interface MemoryFacts {
  /** Bytes of the frozen weights as stored. */
  readonly weightBytes: number;
  /** Physical memory of the machine in bytes. */
  readonly totalMemoryBytes: number;
  /** The weights are bfloat16, float16 or smaller and are widened inside the graph. Default false. */
  readonly narrowWeights?: boolean;
  /** In how many products each weight takes part: 2 in training (forward, backward), 1 in sampling. Default 2. */
  readonly usesPerWeight?: number;
  readonly threads?: number;
}

/**
 * Above this, weights and activations of one layer are larger than 32 MiB, which the C library's allocator gives back
 * at once when freed. Below, it keeps them in fragments: a gated bfloat16 model of 113 MB peaked at 918 MB without the
 * arena and 652 MB with it, while one of 566 MB with layers of 5120 x 13824 kept 102 MB without and 396 MB with it.
 */
const arenaLimitBytes = 512 * 2 ** 20;

/** What of the memory packed weights may take: activations, the operating system and the page cache need the rest. */
const packedShare = 1 / 4;

/** The plan that fits any model: nothing is copied, nothing is kept. */
export const defaultMemoryPlan: MemoryPlan = {
  prepackWeights: false,
  arena: false,
  memoryPattern: false,
  foldConstants: false,
};

/**
 * Chooses memory options by the size of the model.
 *
 * Packing costs the size of the float32 weights once for each product they take part in (226 MB of weights used forward
 * and backward: 440 MB) and gains up to 6 % of speed. The memory pattern doubles what a training step keeps (394 against
 * 772 MB at 2048 tokens) for nothing measurable, so it is never chosen.
 */
export function planMemory(facts: MemoryFacts): MemoryPlan {
  const { weightBytes, totalMemoryBytes, narrowWeights = false, usesPerWeight = 2, threads } = facts;
  const packedBytes = weightBytes * usesPerWeight;
  return {
    prepackWeights: !narrowWeights && packedBytes <= totalMemoryBytes * packedShare,
    arena: weightBytes <= arenaLimitBytes,
    memoryPattern: false,
    foldConstants: !narrowWeights,
    ...(threads === undefined ? {} : { threads }),
  };
}
