import type { ArgumentReader } from './internal/arguments.ts';
import type { Item, Rule, SlotSpec } from './internal/create-from-rule.ts';
import type { Parameter, ParameterGroup } from './optimizer.ts';

export const adafactorDefaults = {
  eps: [1e-30, 1e-3],
  clip_threshold: 1,
  decay_rate: -0.8,
  beta1: null,
  weight_decay: 0,
  scale_parameter: true,
  relative_step: true,
  warmup_init: false,
};

/**
 * Adafactor (Shazeer & Stern 2018, arXiv 1804.04235): the second moment of a matrix is kept as one row and one column.
 *
 *     rate = relative_step ? min(warmup_init ? 1e-6·t : 1e-2, 1/√t) : lr;   times max(1e-3, rms(p)) if scale_parameter
 *     β₂ = 1 − t^decay_rate,   u = g² + 1e-30
 *     r ← β₂r + (1 − β₂)·rowmean(u),   c ← β₂c + (1 − β₂)·colmean(u),   U = g / (√(r/mean r) ⊗ √c)
 *     U ← rate·U / max(1, rms(U)/clip_threshold),   p ← p(1 − wd·rate) − U
 *
 * Vectors keep a full second moment. With `beta1`, U is averaged over steps without bias correction. `relative_step` is on
 * unless switched off, and the learning rate given is then not used; `warmup_init` switches it on.
 */
export function adafactorRule(className: string, args: ArgumentReader, groups: readonly ParameterGroup[]): Rule {
  const [gradientEps, parameterEps] = args.pair('eps');
  const clipThreshold = args.number('clip_threshold', (x) => x > 0, 'a positive number');
  const decayRate = args.number('decay_rate', (x) => x <= 0, 'a number of at most 0');
  const beta1 = args.isGiven('beta1') ? args.beta('beta1') : null;
  const weightDecay = args.nonNegative('weight_decay');
  const scalesByParameter = args.boolean('scale_parameter');
  const warmsUp = args.boolean('warmup_init');
  const isRelative = args.boolean('relative_step') || warmsUp;

  const rateOf = (p: Float32Array, step: number, learningRate: number): number => {
    const relative = Math.min(warmsUp ? 1e-6 * step : 1e-2, 1 / Math.sqrt(step));
    return (isRelative ? relative : learningRate) * (scalesByParameter ? Math.max(parameterEps, rms(p)) : 1);
  };
  const firstRates = Object.fromEntries(groups.map(({ learningRate }, k) => [`rate.${k}`, learningRate]));

  return {
    className,
    slots: (parameter) => [...secondMoment(parameter), ...(beta1 === null ? [] : [{ name: 'exp_avg' }])],
    numbers: isRelative ? firstRates : {},
    update: ({ groups: updated, step, numbers }) => {
      const beta2 = 1 - step ** decayRate;
      updated.forEach(({ learningRate, items }, k) => {
        items.forEach((item, i) => {
          const { data: p } = item;
          const rate = rateOf(p, step, learningRate);
          if (isRelative && i === 0) numbers[`rate.${k}`] = rate;
          const U = isFactored(item) ? factoredUpdate(item, beta2, gradientEps) : fullUpdate(item, beta2, gradientEps);
          const scale = rate / Math.max(1, rms(U) / clipThreshold);
          const average = beta1 === null ? null : item.slots.at(-1)!;
          for (let j = 0; j < p.length; j++) {
            let change = U[j]! * scale;
            if (average) change = average[j] = beta1! * average[j]! + (1 - beta1!) * change;
            p[j] = p[j]! * (1 - weightDecay * rate) - change;
          }
        });
      });
    },
    ...(isRelative && {
      ownLearningRates: (numbers: Readonly<Record<string, number>>) => groups.map((_, k) => numbers[`rate.${k}`]!),
    }),
  };
}

function isFactored({ shape }: Parameter): boolean {
  return shape.length >= 2;
}

function secondMoment(parameter: Parameter): readonly SlotSpec[] {
  if (!isFactored(parameter)) return [{ name: 'exp_avg_sq' }];
  return [
    { name: 'exp_avg_sq_row', shape: ({ shape }) => shape.slice(0, -1) },
    { name: 'exp_avg_sq_col', shape: ({ shape }) => [...shape.slice(0, -2), shape.at(-1)!] },
  ];
}

function fullUpdate({ gradient: g, slots }: Item, beta2: number, eps: number): Float64Array {
  const v = slots[0]!;
  return Float64Array.from(g, (x, i) => {
    v[i] = beta2 * v[i]! + (1 - beta2) * (x * x + eps);
    return x / Math.sqrt(v[i]!);
  });
}

/** Every matrix of the last two axes has a row and a column of its own. */
function factoredUpdate({ gradient: g, shape, slots }: Item, beta2: number, eps: number): Float64Array {
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  const U = new Float64Array(g.length);
  for (let matrix = 0; matrix < g.length / (rows * columns); matrix++) {
    const start = matrix * rows * columns;
    const r = slots[0]!.subarray(matrix * rows, (matrix + 1) * rows);
    const c = slots[1]!.subarray(matrix * columns, (matrix + 1) * columns);
    const rowSums = new Float64Array(rows);
    const columnSums = new Float64Array(columns);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const u = g[start + i * columns + j]! ** 2 + eps;
        rowSums[i]! += u;
        columnSums[j]! += u;
      }
    }
    for (let i = 0; i < rows; i++) r[i] = beta2 * r[i]! + ((1 - beta2) * rowSums[i]!) / columns;
    for (let j = 0; j < columns; j++) c[j] = beta2 * c[j]! + ((1 - beta2) * columnSums[j]!) / rows;
    const mean = r.reduce((sum, x) => sum + x, 0) / rows;
    for (let i = 0; i < rows; i++) {
      const perRow = Math.sqrt(r[i]! / mean);
      for (let j = 0; j < columns; j++) {
        const k = start + i * columns + j;
        U[k] = g[k]! / (perRow * Math.sqrt(c[j]!));
      }
    }
  }
  return U;
}

function rms(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum / values.length);
}
