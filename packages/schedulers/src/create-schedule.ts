import { optionError, ScheduleError, unknownName } from './errors.ts';
import { readArguments } from './internal/arguments.ts';
import { assertNumber } from './internal/numbers.ts';
import { scheduleNames, schedules } from './registry.ts';
import type { ScheduleDefinition, ScheduleSettings } from './registry.ts';
import type { RateSchedule } from './rex.ts';
import { resolveStepCount } from './step-count.ts';
import type { StepCount } from './step-count.ts';
import { torchSchedules } from './torch-schedules.ts';

/** Options of a schedule as a user gives them; absent and null mean the default. */
export interface ScheduleRequest {
  /** `lr_scheduler`, default `constant`; `rex` in any case */
  readonly name?: string | null;
  /** `lr_scheduler_type`, a class of torch.optim.lr_scheduler with or without its path; wins over `name` */
  readonly className?: string | null;
  /** `lr_scheduler_args`, values as plain numbers, texts, booleans and lists */
  readonly args?: Readonly<Record<string, unknown>> | null;
  /** > 0 */
  readonly learningRate: number;
  /** optimizer steps of the run, times the number of processes */
  readonly totalSteps: number;
  /** default none */
  readonly warmup?: StepCount | null;
  /** default none */
  readonly decay?: StepCount | null;
  /** default 1 */
  readonly numCycles?: number | null;
  /** default 1 */
  readonly power?: number | null;
  readonly timescale?: number | null;
  readonly minLrRatio?: number | null;
}

/**
 * The learning rate of each parameter group at each optimizer step (counted from 0), as a pure function.
 *
 * @returns `(step, baseRate) → rate`; give every group's own rate as `baseRate`
 * @throws {ScheduleError} `UNKNOWN_SCHEDULE`, `UNSUPPORTED_SCHEDULE`, `UNKNOWN_ARGUMENT`, `SCHEDULE_OPTION`; the returned function
 *   `SCHEDULE_STEP` for a step or a rate that is none, and for a step behind the end of a schedule that has one
 *
 * @example
 * ```ts
 * import { createSchedule, parseStepCount } from '@musubi/schedulers';
 *
 * const schedule = createSchedule({ name: 'linear', learningRate: 1, totalSteps: 10, warmup: parseStepCount('2') });
 * console.log([0, 1, 2, 6].map((step) => schedule(step, 1))); // [ 0, 0.5, 1, 0.5 ]
 * ```
 */
export function createSchedule(request: ScheduleRequest): RateSchedule {
  const schedule = create(request);
  return (step, baseRate) => {
    if (step >= 0 && step < Infinity && baseRate >= 0 && baseRate < Infinity) return schedule(step, baseRate);
    const problem = `There is no learning rate for step ${step} of a group with the rate ${baseRate}.`;
    throw optionError('step', step, problem, 'Count steps from 0, and give a rate of at least 0.', 'SCHEDULE_STEP');
  };
}

function create(request: ScheduleRequest): RateSchedule {
  const args = request.args ?? {};
  if (request.className) return createTorchSchedule(request.className, args);
  const { name, args: known, create: make } = findSchedule(request.name ?? 'constant');
  return make(resolveSettings(request), readArguments(name, args, known));
}

/** @throws {ScheduleError} `UNKNOWN_SCHEDULE` with the nearest name, `UNSUPPORTED_SCHEDULE` */
export function findSchedule(name: string): ScheduleDefinition {
  const found = schedules.find((schedule) => schedule.name === (name.toLowerCase() === 'rex' ? 'rex' : name));
  if (found) return found;
  const reason = unsupported[name.split(':')[0]!];
  if (reason === undefined) {
    const problem = `lr_scheduler = "${name}" is not a schedule.`;
    throw unknownName('UNKNOWN_SCHEDULE', 'lr_scheduler', name, problem, scheduleNames);
  }
  const problem = `lr_scheduler = "${name}" ${reason}.`;
  throw new ScheduleError('UNSUPPORTED_SCHEDULE', problem, `Use one of ${scheduleNames.join(', ')}.`, {
    option: 'lr_scheduler',
    value: name,
  });
}

const unsupported: Readonly<Record<string, string>> = {
  adafactor: 'only reports the rates that Adafactor chooses itself',
  reduce_lr_on_plateau: 'would need the loss of a validation set',
  cosine_warmup_with_min_lr: 'cannot be made by the original either',
};

function createTorchSchedule(className: string, args: Readonly<Record<string, unknown>>): RateSchedule {
  const short = className.replace(/^torch\.optim\.lr_scheduler\./, '');
  const found = torchSchedules.find(({ name }) => name === short);
  if (found) return found.create(readArguments(found.name, args, found.args));
  const problem = `lr_scheduler_type = "${className}" is not a schedule known here.`;
  const known = torchSchedules.map(({ name }) => name);
  throw unknownName('UNKNOWN_SCHEDULE', 'lr_scheduler_type', className, problem, known);
}

function resolveSettings(request: ScheduleRequest): ScheduleSettings {
  const { learningRate, totalSteps } = request;
  assertNumber('learning_rate', learningRate, (x) => x > 0, 'a positive number');
  assertNumber('max_train_steps', totalSteps, (x) => x >= 1, 'a number of at least 1');
  const settings: ScheduleSettings = {
    learningRate,
    totalSteps,
    warmupSteps: request.warmup ? resolveStepCount(request.warmup, totalSteps) : 0,
    decaySteps: request.decay ? resolveStepCount(request.decay, totalSteps) : 0,
    numCycles: request.numCycles ?? 1,
    power: request.power ?? 1,
    timescale: request.timescale ?? null,
    minLrRatio: request.minLrRatio ?? null,
  };
  assertNumber('lr_warmup_steps', settings.warmupSteps, (x) => x >= 0, 'a number of steps');
  assertNumber('lr_decay_steps', settings.decaySteps, (x) => x >= 0, 'a number of steps');
  assertNumber('lr_scheduler_num_cycles', settings.numCycles, (x) => x > 0, 'a positive number');
  assertNumber('lr_scheduler_power', settings.power, (x) => x > 0, 'a positive number');
  if (settings.timescale !== null) {
    assertNumber('lr_scheduler_timescale', settings.timescale, (x) => x > 0, 'a positive number');
  }
  if (settings.minLrRatio !== null) {
    assertNumber('lr_scheduler_min_lr_ratio', settings.minLrRatio, (x) => x >= 0 && x <= 1, 'a number from 0 to 1');
  }
  return settings;
}
