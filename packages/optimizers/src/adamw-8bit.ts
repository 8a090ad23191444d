import { adamRule, type AdamOptions } from './adamw.ts';
import type { ArgumentReader } from './internal/arguments.ts';
import type { Item, Rule } from './internal/create-from-rule.ts';
import { BLOCK, type CodeBook, nearestCode, signedCodes, unsignedCodes } from './internal/dynamic-codes.ts';
import type { Parameter } from './optimizer.ts';

/** Parameters of fewer values keep float32 moments. */
export const adamw8bitDefaults = { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, min_8bit_size: 4096 };

/**
 * AdamW whose moments are kept as 8-bit codes, with one float32 scale for each block of 256 values: a quarter of the memory
 * (Dettmers et al. 2022, arXiv 2110.02861).
 *
 *     m ← β₁·decode(codes) + (1 − β₁)·g,   v likewise with g²,   p ← p·(1 − lr·wd) − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + eps)
 *     scale ← max|m| of the block,   codes ← nearest of the code book to m/scale
 *
 * A step uses its moments before they are rounded to codes.
 */
export function adamw8bitRule(className: string, args: ArgumentReader): Rule {
  const options: AdamOptions = {
    betas: args.betas(),
    eps: args.nonNegative('eps'),
    weightDecay: args.nonNegative('weight_decay'),
    isDecoupled: true,
    amsgrad: false,
  };
  const smallest = args.nonNegative('min_8bit_size');
  const full = adamRule(className, options);
  const isCoded = ({ data }: Pick<Parameter, 'data'>): boolean => data.length >= smallest;
  return {
    className,
    slots: (parameter) =>
      isCoded(parameter)
        ? [
            { name: 'exp_avg_scale', shape: blocksOf },
            { name: 'exp_avg_sq_scale', shape: blocksOf },
          ]
        : [{ name: 'exp_avg' }, { name: 'exp_avg_sq' }],
    codes: (parameter) =>
      isCoded(parameter)
        ? [
            { name: 'exp_avg', fill: (codes) => codes.fill(signedCodes.zero) },
            { name: 'exp_avg_sq', fill: (codes) => codes.fill(unsignedCodes.zero) },
          ]
        : [],
    update: (context) => {
      const { groups, step } = context;
      full.update({
        ...context,
        groups: groups.map((group) => ({ ...group, items: group.items.filter((item) => !isCoded(item)) })),
      });
      const [beta1, beta2] = options.betas;
      const secondCorrection = Math.sqrt(1 - beta2 ** step);
      for (const { learningRate, items } of groups) {
        const keep = 1 - learningRate * options.weightDecay;
        const stepSize = learningRate / (1 - beta1 ** step);
        const factors = { beta1, beta2, keep, stepSize, secondCorrection, eps: options.eps };
        for (const item of items) if (isCoded(item)) updateCoded(item, factors);
      }
    },
  };
}

function blocksOf({ data }: Parameter): readonly number[] {
  return [Math.ceil(data.length / BLOCK)];
}

interface Factors {
  readonly beta1: number;
  readonly beta2: number;
  /** 1 − lr·wd */
  readonly keep: number;
  /** lr / (1 − β₁ᵗ) */
  readonly stepSize: number;
  /** √(1 − β₂ᵗ) */
  readonly secondCorrection: number;
  readonly eps: number;
}

// Moments of one block while it is worked on.
const first = new Float32Array(BLOCK);
const second = new Float32Array(BLOCK);

function updateCoded({ data: p, gradient, slots, codes }: Item, factors: Factors): void {
  const { beta1, beta2, keep, stepSize, secondCorrection, eps } = factors;
  const [firstScales, secondScales] = [slots[0]!, slots[1]!];
  const [firstCodes, secondCodes] = [codes[0]!, codes[1]!];
  for (let block = 0; block * BLOCK < p.length; block++) {
    const from = block * BLOCK;
    const count = Math.min(BLOCK, p.length - from);
    const [firstScale, secondScale] = [firstScales[block]!, secondScales[block]!];
    let [firstMax, secondMax] = [0, 0];
    for (let k = 0; k < count; k++) {
      const i = from + k;
      const g = gradient[i]!;
      const m = beta1 * firstScale * signedCodes.values[firstCodes[i]!]! + (1 - beta1) * g;
      const v = beta2 * secondScale * unsignedCodes.values[secondCodes[i]!]! + (1 - beta2) * g * g;
      first[k] = m;
      second[k] = v;
      firstMax = Math.max(firstMax, Math.abs(m));
      secondMax = Math.max(secondMax, v);
      p[i] = p[i]! * keep - (stepSize * m) / (Math.sqrt(v) / secondCorrection + eps);
    }
    firstScales[block] = encode(first, count, firstMax, firstCodes, from, signedCodes);
    secondScales[block] = encode(second, count, secondMax, secondCodes, from, unsignedCodes);
  }
}

/** Writes the codes of one block; returns its scale. */
function encode(
  values: Float32Array,
  count: number,
  largest: number,
  codes: Uint8Array,
  from: number,
  { middles, zero }: CodeBook,
): number {
  if (largest === 0) {
    codes.fill(zero, from, from + count);
    return 0;
  }
  for (let k = 0; k < count; k++) codes[from + k] = nearestCode(values[k]! / largest, middles);
  return largest;
}
