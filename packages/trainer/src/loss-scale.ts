/**
 * The factor of the loss in a run whose products are in float16, whose smallest number is 6e-8: gradients are multiplied by
 * it inside the graph and divided again before the step.
 */
export interface LossScale {
  /** A power of two. */
  readonly value: number;
  /** Divides gradients in place, without rounding. */
  unscale(gradients: ReadonlyMap<string, Float32Array>): void;
  /**
   * Tells whether the gradients of a step were finite: after 2000 such steps in a row the scale is doubled, after one that
   * was not it is halved.
   *
   * @returns false when it cannot become smaller: then it is not the scale that makes the gradients overflow
   */
  update(areFinite: boolean): boolean;
}

/** Name of the graphs' input that takes it, `[1]`. */
export const lossScaleInput = 'loss_scale';

/** Dynamic loss scaling (Micikevicius et al. 2017, arXiv 1710.03740, §3.2) with the constants of PyTorch's GradScaler. */
export function createLossScale(initial = 2 ** 16): LossScale {
  const interval = 2000;
  let value = initial;
  let finiteSteps = 0;
  return {
    get value() {
      return value;
    },
    unscale(gradients) {
      const factor = 1 / value;
      for (const gradient of gradients.values()) {
        for (let i = 0; i < gradient.length; i++) gradient[i] = gradient[i]! * factor;
      }
    },
    update(areFinite) {
      if (!areFinite) {
        finiteSteps = 0;
        if (value <= 1) return false;
        value /= 2;
        return true;
      }
      finiteSteps++;
      if (finiteSteps === interval) [value, finiteSteps] = [value * 2, 0];
      return true;
    },
  };
}

/** Says of each step that is left out why, and what follows from it. */
export const tellSkippedStep =
  (logger: (line: string) => void) =>
  ({ step }: { readonly step: number }, lossScale: number): void =>
    logger(`Step ${step} is left out: its gradients overflow in float16. The loss scale is ${lossScale} from now on.`);
