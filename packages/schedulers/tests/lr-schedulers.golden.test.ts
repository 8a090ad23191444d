import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createSchedule, parseStepCount, scheduleNames, torchSchedules } from '../src/index.ts';
import type { ScheduleRequest, StepCount } from '../src/index.ts';
import { parseArguments } from './literals.ts';

interface Args {
  lr_scheduler?: string;
  lr_scheduler_type?: string;
  lr_scheduler_args?: string[];
  lr_warmup_steps?: number | string | null;
  lr_decay_steps?: number | null;
  lr_scheduler_num_cycles?: number;
  lr_scheduler_power?: number;
  lr_scheduler_timescale?: number | null;
  lr_scheduler_min_lr_ratio?: number | null;
  learning_rate?: number;
  max_train_steps?: number;
}
interface Case {
  id: string;
  args: Args;
  group_lrs: number[] | null;
  num_processes: number;
  output: { lrs?: number[]; lrs_per_group?: number[][] };
}

const golden = readGoldenJson<{
  settings: { defaults: Args; tolerance: { rel: number; abs: number } };
  cases: Case[];
  errors: { args: Args; num_processes: number; output: { error: string; reason: string } }[];
  parse_int_or_float: { input: string; output: { type: 'int' | 'float'; value: number } | { error: string } }[];
}>('maths', 'lr_schedulers.json');
const { defaults, tolerance } = golden.settings;

test('is compared on every schedule', () => {
  if (!isDefaultGolden) return;
  const names = new Set(golden.cases.map(({ args }) => args.lr_scheduler_type ?? args.lr_scheduler!.toLowerCase()));
  // The corrected variant is ours.
  expect(scheduleNames.filter((name) => !names.has(name))).toEqual(['rex_corrected']);
  const classes = new Set([...names].map((name) => name.replace(/^.*\./, '')));
  expect(torchSchedules.filter(({ name }) => !classes.has(name))).toEqual([]);
});

test.each(golden.cases)('$id: $args', ({ args, group_lrs, num_processes, output }) => {
  const schedule = createSchedule(toRequest(args, num_processes));
  const baseRates = group_lrs ?? [args.learning_rate ?? defaults.learning_rate!];
  const curves = output.lrs_per_group ?? [output.lrs!];
  expect(curves.length).toBe(baseRates.length);
  curves.forEach((curve, group) => {
    const rates = curve.map((_, step) => schedule(step, baseRates[group]!));
    expect(rates).toBeAllClose(curve, { rtol: tolerance.rel, atol: tolerance.abs });
  });
});

describe('refuses what the original refuses', () => {
  test.each(golden.errors)('$output.reason: $args', ({ args, num_processes }) => {
    if (typeof args.lr_warmup_steps === 'string') {
      // The one departure: a percentage in a file means the same as on the command line.
      expect(parseStepCount(args.lr_warmup_steps)).toHaveProperty('share');
      return;
    }
    if (!isReadable(args.lr_scheduler_args ?? [])) return; // The reader of options refuses it before.
    expect(() => createSchedule(toRequest(args, num_processes))).toThrow(
      expect.objectContaining({ name: 'ScheduleError', remedy: expect.any(String) }),
    );
  });
});

describe('parseStepCount', () => {
  test.each(golden.parse_int_or_float)('reads "$input"', ({ input, output }) => {
    // The second departure: what the original takes for a share below 0 is refused.
    if ('error' in output || output.value < 0) {
      expect(() => parseStepCount(input)).toThrow(expect.objectContaining({ code: 'BAD_STEP_COUNT' }));
    } else {
      const { type, value } = output;
      expect(parseStepCount(input)).toEqual(type === 'int' ? { steps: value } : { share: value });
    }
  });
});

function isReadable(args: readonly string[]): boolean {
  try {
    parseArguments(args);
    return true;
  } catch {
    return false;
  }
}

function toRequest(given: Args, processes: number): ScheduleRequest {
  const args = { ...defaults, ...given };
  const parsed = parseArguments(args.lr_scheduler_args ?? []);
  return {
    name: args.lr_scheduler!,
    className: args.lr_scheduler_type || null,
    // Rates do not depend on the momentum, which the recorded OneCycleLR cycled as well.
    args: args.lr_scheduler_type?.endsWith('OneCycleLR') ? { cycle_momentum: false, ...parsed } : parsed,
    learningRate: args.learning_rate!,
    totalSteps: args.max_train_steps! * processes,
    warmup: toCount(args.lr_warmup_steps),
    decay: toCount(args.lr_decay_steps),
    numCycles: args.lr_scheduler_num_cycles!,
    power: args.lr_scheduler_power!,
    timescale: args.lr_scheduler_timescale ?? null,
    minLrRatio: args.lr_scheduler_min_lr_ratio ?? null,
  };
}

/** JSON does not keep Python's 1.0 apart from 1; a share of exactly a whole number is in no case. */
function toCount(value: number | string | null | undefined): StepCount | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return parseStepCount(value);
  return Number.isInteger(value) ? { steps: value } : { share: value };
}
