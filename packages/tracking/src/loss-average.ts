/** A running average of the loss, one value for each batch position of an epoch. */
export interface LossAverage {
  /**
   * Takes the loss of one batch, replacing that of the same position in the epoch before.
   *
   * @param position batch of the epoch, from 0
   * @returns the average after it
   */
  add(position: number, loss: number): number;
}

/**
 * The average that the original shows: in the first epoch the mean so far, later the mean over the last value at every
 * position seen, although batches come in a new order each epoch.
 *
 * It is a running sum in float64 (subtract the old value, add the new one), so it drifts from the exact mean by rounding
 * in the same way.
 */
export function createLossAverage(): LossAverage {
  const losses = new Map<number, number>();
  let sum = 0;
  return {
    add(position, loss) {
      sum -= losses.get(position) ?? 0;
      sum += loss;
      losses.set(position, loss);
      return sum / losses.size;
    },
  };
}
