import type { HostTensor } from '@musubi/onnx-graph';

import type { RunPosition } from './train.ts';

/**
 * The weights that a run trains, wherever they are, and what changes them: batches give gradients, a step takes those added
 * up. On the host they are the arrays of the adapter; on a device these arrays are written when `toHost` asks for it.
 */
export interface TrainedWeights {
  /** The loss of a batch with the weights as they are. Where it is finite, its gradients belong to the next step. */
  addBatch(feeds: Readonly<Record<string, HostTensor>>, isHighNoise: boolean): Promise<number>;
  /** Says that the weights as they are gave a finite loss. */
  confirm(at: RunPosition): Promise<void>;
  /** One optimizer step, from the gradients of all batches since the last one. */
  step(learningRates: readonly number[]): Promise<StepOutcome>;
  /** Puts the weights back to those that last gave a finite loss; null, and nothing changed, when none did. */
  restore(): Promise<RunPosition | null>;
  /** Brings the weights into the arrays of the adapter, e.g. before it is saved. */
  toHost(): Promise<void>;
  /** As `toHost`, with what the optimizer remembers: the run is over. */
  end(): Promise<void>;
}

export interface StepOutcome {
  /**
   * `taken`, or why the run cannot go on: a gradient is not finite, and nothing was changed, or a weight is not after it.
   * `left-out` are steps whose gradients overflow with the loss scale, which is lower from now on.
   */
  readonly kind: 'taken' | 'left-out' | 'bad-gradient' | 'bad-weights';
  /** Norm of all gradients before clipping. */
  readonly gradientNorm: number;
}
