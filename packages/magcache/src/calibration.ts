import { assertWhole, MagCacheError } from './errors.ts';
import { assertStep } from './skip-policy.ts';

/** How the residual of a step compares with the one before it, token by token. */
export interface ResidualComparison {
  /** Mean over tokens of `ρ = ‖now‖ / ‖before‖`. */
  normRatio: number;
  /** Standard deviation of ρ over tokens (divisor `tokens − 1`), NaN for a single token. */
  normStd: number;
  /** Mean over tokens of `1 − cos(now, before)`. */
  cosDistance: number;
}

export interface CalibrationOptions {
  /** Steps of the sampling loop, at least 1. */
  steps: number;
  /** Numbers a token: the last axis of the residual. */
  featureSize: number;
}

/** What a calibrated stream measured: one entry for every step but the first, rounded to five places. */
export interface CalibrationReport {
  normRatio: number[];
  normStd: number[];
  cosDistance: number[];
  /** 1 and then `normRatio`: the ratios for `createMagCache`. */
  ratios: number[];
  /** The ratios with five decimals and commas, for a configuration file. */
  text: string;
}

export interface Calibration {
  /** Computes a step like `MagCache.run` and compares its residual with that of the step before. */
  run(
    step: number,
    input: Float32Array,
    compute: (input: Float32Array) => Float32Array | Promise<Float32Array>,
    stream?: string,
  ): Promise<Float32Array>;
  /** Records the residual of a step that was computed elsewhere. */
  record(step: number, residual: Float32Array, stream?: string): void;
  /** @throws {MagCacheError} `NOT_CALIBRATED` before all steps of the stream were recorded */
  report(stream?: string): CalibrationReport;
}

/**
 * Measures the magnitude ratios of a model: run one whole sampling loop through it, then ask for the report.
 * A new section (step 0) starts the measurement of its stream again.
 *
 * @throws {MagCacheError} `MAGCACHE_OPTION`
 *
 * @example
 * ```ts
 * import { createCalibration } from '@musubi/magcache';
 *
 * const calibration = createCalibration({ steps: 2, featureSize: 2 });
 * calibration.record(0, Float32Array.of(3, 4));
 * calibration.record(1, Float32Array.of(1.5, 2));
 * console.log(calibration.report().ratios); // [ 1, 0.5 ]
 * ```
 */
export function createCalibration({ steps, featureSize }: CalibrationOptions): Calibration {
  assertWhole('steps', steps, 1);
  assertWhole('feature_size', featureSize, 1);
  const streams = new Map<string, { next: number; last: Float32Array; comparisons: ResidualComparison[] }>();

  const calibration: Calibration = {
    async run(step, input, compute, stream = 'conditional') {
      const output = await compute(input);
      assertSize(output, input.length, featureSize);
      calibration.record(
        step,
        output.map((y, i) => y - input[i]!),
        stream,
      );
      return output;
    },
    record(step, residual, stream = 'conditional') {
      const before = streams.get(stream);
      assertStep(step, before?.next ?? 0, steps);
      assertSize(residual, step === 0 ? residual.length : before!.last.length, featureSize);
      const comparisons =
        step === 0 ? [] : [...before!.comparisons, compareResiduals(residual, before!.last, featureSize)];
      streams.set(stream, { next: step + 1, last: residual, comparisons });
    },
    report(stream = 'conditional') {
      const measured = streams.get(stream);
      if (measured?.next !== steps) throw notCalibrated(stream, measured?.next ?? 0, steps);
      return toReport(measured.comparisons);
    },
  };
  return calibration;
}

/**
 * Compares two residuals. Tokens whose residual was exactly zero have no ratio and are left out.
 *
 * @param now residual `[tokens, featureSize]`
 * @param before residual of the step before, same shape
 * @throws {MagCacheError} `MAGCACHE_OPTION`, `RESIDUAL_SHAPE`, `RESIDUAL_VALUES` for values that are not finite, or when no token has a ratio
 */
export function compareResiduals(now: Float32Array, before: Float32Array, featureSize: number): ResidualComparison {
  assertWhole('feature_size', featureSize, 1);
  assertSize(now, before.length, featureSize);
  const ratios: number[] = [];
  let distances = 0;
  for (let start = 0; start < now.length; start += featureSize) {
    let [nowNow, beforeBefore, nowBefore] = [0, 0, 0];
    for (let i = start; i < start + featureSize; i++) {
      nowNow += now[i]! * now[i]!;
      beforeBefore += before[i]! * before[i]!;
      nowBefore += now[i]! * before[i]!;
    }
    if (beforeBefore === 0) continue;
    const product = Math.sqrt(nowNow) * Math.sqrt(beforeBefore);
    ratios.push(Math.sqrt(nowNow) / Math.sqrt(beforeBefore));
    // A residual that vanishes has no direction: its cosine counts as 0, as PyTorch has it.
    distances += 1 - (product === 0 ? 0 : nowBefore / product);
  }
  if (ratios.length === 0) throw withoutRatio('the residual before is zero for every token');
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
  if (!Number.isFinite(mean + distances)) throw withoutRatio('a residual is not finite');
  const squares = ratios.reduce((sum, ratio) => sum + (ratio - mean) ** 2, 0);
  return {
    normRatio: mean,
    normStd: Math.sqrt(squares / (ratios.length - 1)),
    cosDistance: distances / ratios.length,
  };
}

function assertSize(values: Float32Array, expected: number, featureSize: number): void {
  if (values.length === expected && values.length > 0 && values.length % featureSize === 0) return;
  throw new MagCacheError(
    'RESIDUAL_SHAPE',
    `A residual of ${values.length} numbers came where ${expected} in tokens of ${featureSize} were expected.`,
    'Give residuals of whole tokens, all of one size until the next step 0.',
    { option: 'residual', value: values.length },
  );
}

function withoutRatio(reason: string): MagCacheError {
  return new MagCacheError(
    'RESIDUAL_VALUES',
    `The residuals of two steps have no ratio: ${reason}.`,
    'Look at what the wrapped part of the model returns.',
    { option: 'residual', value: reason },
  );
}

function notCalibrated(stream: string, recorded: number, steps: number): MagCacheError {
  return new MagCacheError(
    'NOT_CALIBRATED',
    `The stream "${stream}" has recorded ${recorded} of ${steps} steps.`,
    'Run the whole sampling loop once before asking for the report.',
    { option: 'stream', value: stream },
  );
}

function toReport(comparisons: readonly ResidualComparison[]): CalibrationReport {
  const normRatio = comparisons.map((c) => fivePlaces(c.normRatio));
  const ratios = [1, ...normRatio];
  return {
    normRatio,
    normStd: comparisons.map((c) => fivePlaces(c.normStd)),
    cosDistance: comparisons.map((c) => fivePlaces(c.cosDistance)),
    ratios,
    text: ratios.map((ratio) => ratio.toFixed(5)).join(','),
  };
}

function fivePlaces(value: number): number {
  return Number(value.toFixed(5));
}
