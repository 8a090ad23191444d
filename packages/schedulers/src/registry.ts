import { optionError } from './errors.ts';
import {
  constant,
  constantWithWarmup,
  cosine,
  cosineWithMinLr,
  cosineWithRestarts,
  inverseSqrt,
  linear,
  polynomial,
} from './factors.ts';
import type { Schedule } from './factors.ts';
import type { ArgumentReader } from './internal/arguments.ts';
import { piecewiseConstant } from './piecewise-constant.ts';
import { rex, rexCurve } from './rex.ts';
import type { RateSchedule } from './rex.ts';
import { shapes, warmupStableDecay } from './warmup-stable-decay.ts';

/** Checked settings of a schedule, counts in optimizer steps. */
export interface ScheduleSettings {
  readonly learningRate: number;
  readonly totalSteps: number;
  readonly warmupSteps: number;
  readonly decaySteps: number;
  readonly numCycles: number;
  readonly power: number;
  readonly timescale: number | null;
  readonly minLrRatio: number | null;
}

/** What is known of a schedule; help texts, tables and tests are made from it. */
export interface ScheduleDefinition {
  readonly name: string;
  readonly doc: string;
  readonly reference: string | null;
  /** whether it has no jump, where warm-up and decay leave room for each other and a decay takes a step at least */
  readonly isContinuous: boolean;
  /** settings it reads beside the learning rate */
  readonly options: readonly (keyof ScheduleSettings)[];
  /** keys of `lr_scheduler_args` that it takes */
  readonly args: readonly string[];
  readonly create: (settings: ScheduleSettings, args: ArgumentReader) => RateSchedule;
}

const restarts = 'Loshchilov & Hutter 2016, arXiv 1608.03983';
const rexPaper = 'Chen et al. 2021, arXiv 2107.04197';

/** All schedules by name. */
export const schedules = [
  {
    name: 'constant',
    doc: 'the rate as it is, without warm-up',
    reference: null,
    isContinuous: true,
    options: [],
    args: [],
    create: ({ warmupSteps }) => {
      if (warmupSteps === 0) return scaled(constant());
      const problem = `lr_scheduler = "constant" takes no warm-up, but lr_warmup_steps is ${warmupSteps}.`;
      const remedy = 'Use constant_with_warmup, or remove lr_warmup_steps.';
      throw optionError('lr_warmup_steps', warmupSteps, problem, remedy);
    },
  },
  {
    name: 'constant_with_warmup',
    doc: 'warm-up, then the rate as it is',
    reference: null,
    isContinuous: true,
    options: ['warmupSteps'],
    args: [],
    create: (settings) => scaled(constantWithWarmup(settings)),
  },
  {
    name: 'linear',
    doc: 'warm-up, then a straight line to 0',
    reference: null,
    isContinuous: true,
    options: ['warmupSteps', 'totalSteps'],
    args: [],
    create: (settings) => scaled(linear(settings)),
  },
  {
    name: 'cosine',
    doc: 'warm-up, then half a cosine wave to 0 (num_cycles in lr_scheduler_args: whole waves)',
    reference: restarts,
    isContinuous: true,
    options: ['warmupSteps', 'totalSteps'],
    args: ['num_cycles'],
    create: (settings, args) => scaled(cosine({ ...settings, numCycles: args.number('num_cycles', 0.5) })),
  },
  {
    name: 'cosine_with_restarts',
    doc: 'warm-up, then lr_scheduler_num_cycles falls along a cosine',
    reference: restarts,
    isContinuous: false,
    options: ['warmupSteps', 'totalSteps', 'numCycles'],
    args: [],
    create: (settings) => scaled(cosineWithRestarts(settings)),
  },
  {
    name: 'polynomial',
    doc: 'warm-up, then a power law to lr_end (1e-7)',
    reference: null,
    isContinuous: true,
    options: ['warmupSteps', 'totalSteps', 'power'],
    args: ['lr_end'],
    create: (settings, args) => {
      const { learningRate } = settings;
      const endLearningRate = args.number('lr_end', 1e-7);
      if (learningRate > endLearningRate) return scaled(polynomial({ ...settings, endLearningRate }));
      const problem = `lr_scheduler = "polynomial" ends at ${endLearningRate}, which is not below learning_rate = ${learningRate}.`;
      throw optionError('lr_end', endLearningRate, problem, 'Give a lower lr_end in lr_scheduler_args.');
    },
  },
  {
    name: 'inverse_sqrt',
    doc: 'warm-up, then falls with the root of the steps',
    reference: 'Vaswani et al. 2017, arXiv 1706.03762, §5.3',
    isContinuous: true,
    options: ['warmupSteps', 'timescale'],
    args: [],
    create: (settings) => scaled(inverseSqrt(settings)),
  },
  {
    name: 'cosine_with_min_lr',
    doc: 'warm-up, then a cosine to lr_scheduler_min_lr_ratio (or min_lr in lr_scheduler_args)',
    reference: restarts,
    isContinuous: true,
    options: ['warmupSteps', 'totalSteps', 'numCycles', 'minLrRatio'],
    args: ['min_lr'],
    create: (settings, args) => {
      const { learningRate, minLrRatio } = settings;
      if (args.has('min_lr') === (minLrRatio !== null)) {
        const problem = `lr_scheduler = "cosine_with_min_lr" needs one lowest rate, but has ${minLrRatio === null ? 'none' : 'two'}.`;
        const remedy = 'Give lr_scheduler_min_lr_ratio, or min_lr in lr_scheduler_args.';
        throw optionError('lr_scheduler_min_lr_ratio', minLrRatio, problem, remedy);
      }
      return scaled(cosineWithMinLr({ ...settings, minLrRatio: minLrRatio ?? args.number('min_lr') / learningRate }));
    },
  },
  {
    name: 'warmup_stable_decay',
    doc: 'warm-up, plateau, decay over lr_decay_steps',
    reference: 'Hu et al. 2024, arXiv 2404.06395, §4',
    isContinuous: true,
    options: ['warmupSteps', 'decaySteps', 'totalSteps', 'numCycles', 'minLrRatio'],
    args: ['warmup_type', 'decay_type'],
    create: (settings, args) => {
      const warmupType = args.choice('warmup_type', shapes, 'linear');
      const decayType = args.choice('decay_type', shapes, 'cosine');
      const minLrRatio = settings.minLrRatio ?? 0;
      return scaled(warmupStableDecay({ ...settings, warmupType, decayType, minLrRatio }));
    },
  },
  {
    name: 'piecewise_constant',
    doc: 'constant factors, given as step_rules in lr_scheduler_args',
    reference: null,
    isContinuous: false,
    options: [],
    args: ['step_rules'],
    create: (_, args) => scaled(piecewiseConstant(args.text('step_rules'))),
  },
  {
    name: 'rex',
    doc: 'reflected exponential, as the original computes it',
    reference: rexPaper,
    isContinuous: false,
    options: ['warmupSteps', 'totalSteps', 'minLrRatio'],
    args: ['rex_alpha', 'rex_beta'],
    create: (settings, args) => rex(rexOptions(settings, args)),
  },
  {
    name: 'rex_corrected',
    doc: 'reflected exponential that rises steadily, peaks at the rate and keeps the ratio of groups',
    reference: rexPaper,
    isContinuous: true,
    options: ['warmupSteps', 'totalSteps', 'minLrRatio'],
    args: ['rex_alpha', 'rex_beta'],
    create: (settings, args) => {
      const options = rexOptions(settings, args);
      rex(options); // the same checks
      return scaled(rexCurve(options));
    },
  },
] as const satisfies readonly ScheduleDefinition[];

export type ScheduleName = (typeof schedules)[number]['name'];

export const scheduleNames: readonly ScheduleName[] = schedules.map(({ name }) => name);

function scaled(factor: Schedule): RateSchedule {
  return (step, baseRate) => baseRate * factor(step);
}

function rexOptions(settings: ScheduleSettings, args: ArgumentReader) {
  const [alpha, beta] = [args.number('rex_alpha', 0.1), args.number('rex_beta', 0.9)];
  if (!(alpha > 0 && beta >= 0)) {
    const problem = `rex_alpha = ${alpha} and rex_beta = ${beta} give no finite curve.`;
    throw optionError('rex_alpha', alpha, problem, 'Use rex_alpha above 0 and rex_beta of at least 0.');
  }
  return { ...settings, alpha, beta, minLrRatio: settings.minLrRatio ?? 0.01 };
}
