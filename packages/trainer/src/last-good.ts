import type { Optimizer, OptimizerState } from '@musubi/optimizers';

import type { RunPosition, TrainableParameter } from './train.ts';

/**
 * Remembers the weights that last gave a finite loss. A step that ruins the adapter shows only in the next loss, when the
 * weights before it would be gone: hence the copy, a quarter of what Adam keeps anyway.
 */
export interface LastGood {
  /** The weights as they are now gave a finite loss. */
  confirm(at: RunPosition): void;
  /** Call before the optimizer changes the weights. */
  beforeStep(): void;
  /** Puts the weights back to those that last gave a finite loss; null, and nothing changed, when none did. */
  restore(): RunPosition | null;
}

export function keepLastGood(
  parameters: readonly TrainableParameter[],
  optimizer: Pick<Optimizer, 'isScheduleFree' | 'state' | 'restore'>,
): LastGood {
  let copies: Float32Array[] | null = null;
  let state: OptimizerState | null = null;
  let confirmed: RunPosition | null = null;
  let isMoved = false;
  return {
    confirm(at) {
      confirmed = at;
      isMoved = false;
    },
    beforeStep() {
      copies ??= parameters.map(({ data }) => new Float32Array(data.length));
      parameters.forEach(({ data }, i) => copies?.[i]?.set(data));
      // The weights that schedule-free optimizers save are made from their state.
      if (optimizer.isScheduleFree) state = optimizer.state();
      isMoved = true;
    },
    restore() {
      if (!confirmed || !isMoved) return confirmed;
      parameters.forEach(({ data }, i) => data.set(copies?.[i] ?? data));
      if (state) optimizer.restore(state);
      isMoved = false;
      return confirmed;
    },
  };
}

/** Whether all weights are numbers. */
export function areFinite(parameters: readonly TrainableParameter[]): boolean {
  return parameters.every(({ data }) => {
    let sum = 0; // x − x is 0, or NaN where x is not finite: no branch a value
    for (let i = 0; i < data.length; i++) sum += data[i]! - data[i]!;
    return sum === 0;
  });
}
