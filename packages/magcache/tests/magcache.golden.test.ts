import { expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import {
  createCalibration,
  createMagCache,
  createSkipPolicy,
  defaultMagRatios,
  magcacheDefaults,
  nearestRatios,
  planSkips,
} from '../src/index.ts';

interface PolicyArgs {
  steps: number;
  ratios?: number[] | 'default';
  ratios_name?: string;
  retention_ratio?: number;
  threshold?: number;
  k?: number;
}
interface TraceEntry {
  step: number;
  skipped: boolean;
  accumulated_ratio: number;
  accumulated_err: number;
  accumulated_steps: number;
}

const golden = readGoldenJson<{
  settings: {
    defaults: { retention_ratio: number; threshold: number; k: number };
    tolerance: { accumulators_abs: number; calibration_abs: number };
  };
  default_mag_ratios: number[] | null;
  interpolation: { args: { source: number[] | 'default'; steps: number }; output: number[] }[];
  cached_values: {
    step: number;
    hidden_in: number[][][];
    block_residual: number[][][];
    skipped: boolean;
    hidden_out: number[][][];
  }[];
  calibration: {
    args: { steps: number; dim: number };
    input: { residuals: number[][][][] };
    output: { norm_ratio: number[]; norm_std: number[]; cos_dis: number[]; printed_line: string };
  }[];
  cases: { args: PolicyArgs; output: { skipped_steps: number[]; computed_count: number; trace: TraceEntry[] } }[];
}>('maths', 'magcache.json');
const { accumulators_abs, calibration_abs } = golden.settings.tolerance;

test('the default folder has every kind of case', () => {
  if (!isDefaultGolden) return;
  expect(golden.default_mag_ratios).not.toBeNull();
  for (const list of [golden.interpolation, golden.cached_values, golden.calibration, golden.cases]) {
    expect(list.length).toBeGreaterThan(0);
  }
});

test('has the defaults of the original', () => {
  expect(magcacheDefaults).toEqual({
    retentionRatio: golden.settings.defaults.retention_ratio,
    threshold: golden.settings.defaults.threshold,
    k: golden.settings.defaults.k,
  });
  if (golden.default_mag_ratios) expect(defaultMagRatios).toEqual(golden.default_mag_ratios);
});

test.each(golden.interpolation)('resamples to $args.steps steps', ({ args, output }) => {
  expect(nearestRatios(toRatios(args.source), args.steps)).toEqual(output);
});

test.each(golden.cases)('decides $args', ({ args, output }) => {
  const options = toOptions(args);
  const policy = createSkipPolicy(options);
  const skippedSteps = new Set<number>();
  for (const entry of output.trace) {
    const skipped = policy.shouldSkip(entry.step);
    if (skipped) skippedSteps.add(entry.step);
    const { ratio, error, steps } = policy.accumulators;
    expect({ step: entry.step, skipped, steps }).toEqual({
      step: entry.step,
      skipped: entry.skipped,
      steps: entry.accumulated_steps,
    });
    expect([ratio, error]).toBeAllClose([entry.accumulated_ratio, entry.accumulated_err], { atol: accumulators_abs });
  }
  expect([...skippedSteps].filter((step) => step < args.steps)).toEqual(output.skipped_steps);
  expect(planSkips(options).filter((skips) => !skips)).toHaveLength(output.computed_count);
});

test('passes the values of the cached run', async () => {
  const steps = golden.cached_values.length;
  // The file does not repeat the settings: those which give its decisions are the defaults.
  const cache = createMagCache({ steps });
  let computed = 0;
  for (const entry of golden.cached_values) {
    const residual = flat(entry.block_residual);
    const output = await cache.run(entry.step, flat(entry.hidden_in), (x) => {
      computed++;
      return x.map((value, i) => value + residual[i]!);
    });
    // Sums of two float32 numbers below 4: one rounding of the residual and one of the sum, 2^-22 each.
    expect(output).toBeAllClose(flat(entry.hidden_out), { atol: 5e-7 });
  }
  expect(computed).toBe(golden.cached_values.filter(({ skipped }) => !skipped).length);
});

test.each(golden.calibration)('calibrates $args', ({ args, input, output }) => {
  const calibration = createCalibration({ steps: args.steps, featureSize: args.dim });
  for (const [step, residual] of input.residuals.entries()) calibration.record(step, flat(residual));
  const report = calibration.report();
  expect(report.normRatio).toBeAllClose(output.norm_ratio, { atol: calibration_abs });
  expect(report.normStd).toBeAllClose(output.norm_std, { atol: calibration_abs });
  expect(report.cosDistance).toBeAllClose(output.cos_dis, { atol: calibration_abs });
  const [own, printed] = [report.text, output.printed_line].map((line) => line.split(','));
  expect(own!.map(Number)).toBeAllClose(printed!.map(Number), { atol: calibration_abs });
  expect(own!.map((number) => number.length)).toEqual(printed!.map((number) => number.length));
});

function toRatios(source: number[] | 'default'): readonly number[] {
  return source === 'default' ? defaultMagRatios : source;
}

function toOptions({ steps, ratios = 'default', ...rest }: PolicyArgs): Parameters<typeof createSkipPolicy>[0] {
  return {
    steps,
    ratios: toRatios(ratios),
    ...(rest.retention_ratio !== undefined && { retentionRatio: rest.retention_ratio }),
    ...(rest.threshold !== undefined && { threshold: rest.threshold }),
    ...(rest.k !== undefined && { k: rest.k }),
  };
}

function flat(nested: unknown[]): Float32Array {
  return Float32Array.from(nested.flat(Infinity) as number[]);
}
