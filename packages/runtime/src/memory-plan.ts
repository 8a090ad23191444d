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
 * Chooses memory options by the size of the model. `pnpm bench session` measures each the other way:
 *
 * - packing costs the float32 weights once for each product they take part in (226 MB: 440 MB) and gains up to 6 % of
 *   speed; products change in their last bits;
 * - without the arena the system zeroes pages anew in each step, which takes about as long as one (of training at 512 and
 *   1024 tokens: 2.9 to 3.6 times the time in a virtual machine whose page faults are dear), for a peak that is the same
 *   within 2 %. Where large buckets of many lengths are mixed it is up to 17 % higher with the arena (766 and 897 MB);
 *   attention in pieces has blocks that the C library keeps in fragments: there it is 1.7 times as high without;
 * - the memory pattern takes up to 1.6 times the memory for nothing measurable.
 */
export function planMemory(facts: MemoryFacts): MemoryPlan {
  const { weightBytes, totalMemoryBytes, narrowWeights = false, integerBytes = 0, usesPerWeight = 2, threads } = facts;
  const packedBytes = integerBytes > 0 ? integerBytes : weightBytes * usesPerWeight;
  return {
    prepackWeights: (integerBytes > 0 || !narrowWeights) && packedBytes <= totalMemoryBytes * packedShare,
    arena: true,
    memoryPattern: false,
    foldConstants: !narrowWeights,
    ...(threads === undefined ? {} : { threads }),
  };
}
