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
 *     m ← β₁·decode(codes) + (1 − β₁)·g,   v likewise with g²
 *     p ← (p − lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + √(1 − β₂ᵗ)·eps)) · (1 − lr·wd)
 *     scale ← max|m| of the block,   codes ← nearest of the code book to m/scale
 *
 * A step uses its moments before they are rounded to codes. As bitsandbytes' kernels do, weights decay after the update, every
 * operation is rounded to float32, a negative moment never gets the code of 0, and where a gradient of a coded parameter is
 * not finite, the value stays and its moments become 0.
 */
export function adamw8bitRule(className: string, args: ArgumentReader): Rule {
  const options: Options = {
    betas: args.betas(),
    eps: args.nonNegative('eps'),
    weightDecay: args.nonNegative('weight_decay'),
  };
  const smallest = args.nonNegative('min_8bit_size');
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
    codes: (parameter) => (isCoded(parameter) ? [{ name: 'exp_avg' }, { name: 'exp_avg_sq' }] : []),
    update: ({ groups, step }) => {
      for (const { learningRate, items } of groups) {
        const factors = factorsOf(options, learningRate, step);
        for (const item of items) (isCoded(item) ? updateCoded : updatePlain)(item, factors);
      }
    },
  };
}

function blocksOf({ data }: Parameter): readonly number[] {
  return [Math.ceil(data.length / BLOCK)];
}

interface Options {
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
}

interface Factors {
  readonly beta1: number;
  readonly beta2: number;
  /** 1 − β₁ and 1 − β₂ */
  readonly firstShare: number;
  readonly secondShare: number;
  /** −lr·√(1 − β₂ᵗ) / (1 − β₁ᵗ) */
  readonly stepSize: number;
  /** √(1 − β₂ᵗ)·eps */
  readonly smallest: number;
  /** 1 − lr·wd */
  readonly keep: number;
}

const f32 = Math.fround;

function factorsOf({ betas, eps, weightDecay }: Options, learningRate: number, step: number): Factors {
  const [beta1, beta2] = [f32(betas[0]), f32(betas[1])];
  const firstCorrection = f32(1 - f32(beta1 ** step));
  const secondCorrection = f32(Math.sqrt(f32(1 - f32(beta2 ** step))));
  const rate = f32(learningRate);
  return {
    beta1,
    beta2,
    firstShare: f32(1 - beta1),
    secondShare: f32(1 - beta2),
    stepSize: f32(f32(-rate * secondCorrection) / firstCorrection),
    smallest: f32(secondCorrection * f32(eps)),
    keep: f32(1 - f32(rate * f32(weightDecay))),
  };
}

function updatePlain({ data: p, gradient, slots }: Item, factors: Factors): void {
  const { beta1, beta2, firstShare, secondShare } = factors;
  const [first, second] = [slots[0]!, slots[1]!];
  for (let i = 0; i < p.length; i++) {
    const g = gradient[i]!;
    first[i] = f32(first[i]! * beta1) + f32(firstShare * g);
    second[i] = f32(second[i]! * beta2) + f32(secondShare * f32(g * g));
    p[i] = moved(p[i]!, first[i]!, second[i]!, factors);
  }
}

/** A value after its update with the moments m and v. */
function moved(p: number, m: number, v: number, { stepSize, smallest, keep }: Factors): number {
  return f32(p + f32(stepSize * f32(m / f32(f32(Math.sqrt(v)) + smallest)))) * keep;
}

// Moments of one block while it is worked on.
const firstBlock = new Float32Array(BLOCK);
const secondBlock = new Float32Array(BLOCK);

function updateCoded({ data: p, gradient, slots, codes }: Item, factors: Factors): void {
  const { beta1, beta2, firstShare, secondShare } = factors;
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
      // Not finite: infinity minus itself is NaN, as NaN is.
      if (g - g !== 0) {
        firstBlock[k] = 0;
        secondBlock[k] = 0;
        continue;
      }
      const m0 = f32(firstScale * signedCodes.values[firstCodes[i]!]!);
      const v0 = f32(secondScale * unsignedCodes.values[secondCodes[i]!]!);
      const m = f32(f32(m0 * beta1) + f32(firstShare * g));
      const v = f32(f32(v0 * beta2) + f32(f32(secondShare * g) * g));
      firstBlock[k] = m;
      secondBlock[k] = v;
      firstMax = Math.max(firstMax, Math.abs(m));
      secondMax = Math.max(secondMax, v);
      p[i] = moved(p[i]!, m, v, factors);
    }
    firstScales[block] = encode(firstBlock, count, firstMax, firstCodes, from, signedCodes);
    secondScales[block] = encode(secondBlock, count, secondMax, secondCodes, from, unsignedCodes);
    keepSigns(firstBlock, count, firstCodes, from);
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
  for (let k = 0; k < count; k++) codes[from + k] = nearestCode(f32(values[k]! / largest), middles);
  return largest;
}

/** Negative values, −0 too, that were rounded to 0 get the code before it. */
function keepSigns(values: Float32Array, count: number, codes: Uint8Array, from: number): void {
  for (let k = 0; k < count; k++) {
    if (codes[from + k] === signedCodes.zero && (values[k]! < 0 || Object.is(values[k], -0))) codes[from + k]!--;
  }
}
