export { createSchedule, findSchedule } from './create-schedule.ts';
export type { ScheduleRequest } from './create-schedule.ts';
export type { RateSchedule, RexOptions } from './rex.ts';
export { parseStepCount, resolveStepCount } from './step-count.ts';
export type { StepCount } from './step-count.ts';
export { scheduleNames, schedules } from './registry.ts';
export type { ScheduleDefinition, ScheduleName, ScheduleSettings } from './registry.ts';
export { torchSchedules } from './torch-schedules.ts';
export type { TorchSchedule } from './torch-schedules.ts';
export {
  constant,
  constantWithWarmup,
  cosine,
  cosineWithMinLr,
  cosineWithRestarts,
  inverseSqrt,
  linear,
  polynomial,
} from './factors.ts';
export type { Schedule, Span } from './factors.ts';
export { warmupStableDecay } from './warmup-stable-decay.ts';
export type { Shape, WarmupStableDecayOptions } from './warmup-stable-decay.ts';
export { piecewiseConstant } from './piecewise-constant.ts';
export { rex, rexCurve } from './rex.ts';
export { createRateCursor } from './rate-cursor.ts';
export type { RateCursor, RateState } from './rate-cursor.ts';
export { scheduleSvg, scheduleText } from './plot.ts';
export type { SchedulePlot } from './plot.ts';
export type { ArgumentReader } from './internal/arguments.ts';
export { ScheduleError } from './errors.ts';
export type { ScheduleErrorCode } from './errors.ts';
