/** Anonymous memory of a training process by what it is for, in bytes. Weights mapped from their files do not count. */
export interface RunMemory {
  /** Node.js, this program, ONNX Runtime. */
  readonly process: number;
  /** Copies of the weights that ONNX Runtime makes for speed. */
  readonly packedWeights: number;
  /** What forward and backward pass keep, gradients included, for the largest bucket. */
  readonly activations: number;
  /** A batch and its noise on the way to the graph. */
  readonly batches: number;
  /** The adapter: its weights, the copy that a failed step is undone with, and one on the way to the graph. */
  readonly adapter: number;
  /** Gradients outside the graph: as they come out, and their sum. */
  readonly gradients: number;
  readonly optimizerState: number;
  readonly total: number;
}

export interface RunMemoryFacts extends Pick<
  RunMemory,
  'process' | 'packedWeights' | 'activations' | 'optimizerState'
> {
  /** Bytes of the feeds of the largest batch. */
  readonly feedBytes: number;
  readonly parameterBytes: number;
}

/** A feed lies in the caller's memory, in the worker's and in one that waits for the next batch. */
const copiesOfFeeds = 3;
const copiesOfAdapter = 3;
const copiesOfGradients = 2;

export function runMemory(facts: RunMemoryFacts): RunMemory {
  const { process, packedWeights, activations, optimizerState, feedBytes, parameterBytes } = facts;
  const parts = {
    process,
    packedWeights,
    activations,
    batches: copiesOfFeeds * feedBytes,
    adapter: copiesOfAdapter * parameterBytes,
    gradients: copiesOfGradients * parameterBytes,
    optimizerState,
  };
  return { ...parts, total: Object.values(parts).reduce((a, b) => a + b, 0) };
}
