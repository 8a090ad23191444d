/** Gradients of several micro-batches, added up. */
export interface GradientSum {
  /** Adds a micro-batch's gradients, each divided by the number of micro-batches of a full step. */
  add(gradients: ReadonlyMap<string, Float32Array>): void;
  /** The sum so far; it starts anew with the next `add`. */
  take(): ReadonlyMap<string, Float32Array>;
}

/**
 * The gradient of the mean loss over `microBatches` batches. A step with fewer batches (at the end of an epoch) is still
 * divided by the full number, as the original does.
 */
export function createGradientSum(microBatches: number): GradientSum {
  let sum: Map<string, Float32Array> | undefined;
  return {
    add(gradients) {
      if (microBatches === 1) {
        sum = new Map(gradients);
        return;
      }
      const share = Math.fround(1 / microBatches);
      if (!sum) {
        sum = new Map(Array.from(gradients, ([name, g]) => [name, g.map((x) => x * share)]));
        return;
      }
      for (const [name, gradient] of gradients) {
        const total = sum.get(name);
        if (!total)
          sum.set(
            name,
            gradient.map((x) => x * share),
          );
        else for (let i = 0; i < total.length; i++) total[i] = total[i]! + Math.fround(gradient[i]! * share);
      }
    },
    take() {
      const taken = sum ?? new Map<string, Float32Array>();
      sum = undefined;
      return taken;
    },
  };
}
