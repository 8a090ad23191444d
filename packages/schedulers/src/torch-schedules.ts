import type { ArgumentReader } from './internal/arguments.ts';
import { optionError, ScheduleError } from './errors.ts';
import { assertNumber } from './internal/numbers.ts';
import type { RateSchedule } from './rex.ts';

/** A schedule class of `torch.optim.lr_scheduler`, in closed form. */
export interface TorchSchedule {
  readonly name: string;
  readonly doc: string;
  /** names of its arguments, as the class spells them */
  readonly args: readonly string[];
  readonly create: (args: ArgumentReader) => RateSchedule;
}

/** The classes that `lr_scheduler_type` can name. */
export const torchSchedules: readonly TorchSchedule[] = [
  {
    name: 'CosineAnnealingLR',
    doc: 'eta_min + ½(rate − eta_min)(1 + cos π·s/T_max)',
    args: ['T_max', 'eta_min'],
    create: (args) => {
      const period = positive(args, 'T_max');
      const minimum = args.number('eta_min', 0);
      return (s, rate) => minimum + ((rate - minimum) * (1 + Math.cos((Math.PI * s) / period))) / 2;
    },
  },
  {
    name: 'CosineAnnealingWarmRestarts',
    doc: 'the same from the start every T_0, T_0·T_mult, … steps',
    args: ['T_0', 'T_mult', 'eta_min'],
    create: (args) => {
      const [first, growth, minimum] = [args.number('T_0'), args.number('T_mult', 1), args.number('eta_min', 0)];
      if (!(first >= 1)) throw optionError('T_0', first, `T_0 = ${first} is no period.`, 'Use 1 or more steps.');
      if (!(growth >= 1)) throw optionError('T_mult', growth, `T_mult = ${growth} shrinks periods.`, 'Use 1 or more.');
      return (s, rate) => {
        let [start, period] = [0, first];
        while (s - start >= period) [start, period] = [start + period, period * growth];
        return minimum + ((rate - minimum) * (1 + Math.cos((Math.PI * (s - start)) / period))) / 2;
      };
    },
  },
  {
    name: 'StepLR',
    doc: 'times gamma every step_size steps',
    args: ['step_size', 'gamma'],
    create: (args) => {
      const [size, gamma] = [positive(args, 'step_size'), args.number('gamma', 0.1)];
      return (s, rate) => rate * gamma ** Math.floor(s / size);
    },
  },
  {
    name: 'MultiStepLR',
    doc: 'times gamma at each of the milestones',
    args: ['milestones', 'gamma'],
    create: (args) => {
      const [milestones, gamma] = [args.numbers('milestones'), args.number('gamma', 0.1)];
      return (s, rate) => rate * gamma ** milestones.filter((milestone) => s >= milestone).length;
    },
  },
  {
    name: 'ExponentialLR',
    doc: 'times gamma every step',
    args: ['gamma'],
    create: (args) => {
      const gamma = args.number('gamma');
      return (s, rate) => rate * gamma ** s;
    },
  },
  {
    name: 'PolynomialLR',
    doc: '(1 − s/total_iters)^power, then 0',
    args: ['total_iters', 'power'],
    create: (args) => {
      const [total, power] = [positive(args, 'total_iters', 5), args.number('power', 1)];
      return (s, rate) => rate * (1 - Math.min(s, total) / total) ** power;
    },
  },
  {
    name: 'LinearLR',
    doc: 'factor in a straight line from start_factor to end_factor over total_iters steps',
    args: ['start_factor', 'end_factor', 'total_iters'],
    create: (args) => {
      const [start, end] = [args.number('start_factor', 1 / 3), args.number('end_factor', 1)];
      const total = positive(args, 'total_iters', 5);
      return (s, rate) => rate * (start + ((end - start) * Math.min(s, total)) / total);
    },
  },
  {
    name: 'ConstantLR',
    doc: 'times factor for the first total_iters steps',
    args: ['factor', 'total_iters'],
    create: (args) => {
      const [factor, total] = [args.number('factor', 1 / 3), args.number('total_iters', 5)];
      return (s, rate) => (s < total ? rate * factor : rate);
    },
  },
  {
    name: 'OneCycleLR',
    doc: 'up to max_lr and down again (Smith & Topin 2017, arXiv 1708.07120)',
    args: [
      'max_lr',
      'total_steps',
      'pct_start',
      'anneal_strategy',
      'div_factor',
      'final_div_factor',
      'three_phase',
      'cycle_momentum',
    ],
    create: oneCycle,
  },
];

function positive(args: ArgumentReader, key: string, fallback?: number): number {
  const value = args.number(key, fallback);
  assertNumber(key, value, (x) => x > 0, 'a positive number');
  return value;
}

function oneCycle(args: ArgumentReader): RateSchedule {
  if (args.boolean('cycle_momentum', true)) {
    throw new ScheduleError(
      'UNSUPPORTED_SCHEDULE',
      'OneCycleLR also changes the momentum of the optimizer, which a schedule here cannot.',
      'Add cycle_momentum=False to lr_scheduler_args.',
      { option: 'cycle_momentum', value: true },
    );
  }
  const [highest, total] = [positive(args, 'max_lr'), positive(args, 'total_steps')];
  const share = args.number('pct_start', 0.3);
  assertNumber('pct_start', share, (x) => x >= 0 && x <= 1, 'a number from 0 to 1');
  const rising = share * total;
  const start = highest / positive(args, 'div_factor', 25);
  const end = start / positive(args, 'final_div_factor', 1e4);
  const anneal = args.choice('anneal_strategy', ['cos', 'linear'], 'cos') === 'cos' ? cosineBetween : lineBetween;
  const phases = args.boolean('three_phase', false)
    ? [
        { until: rising - 1, from: start, to: highest },
        { until: 2 * rising - 2, from: highest, to: start },
        { until: total - 1, from: start, to: end },
      ]
    : [
        { until: rising - 1, from: start, to: highest },
        { until: total - 1, from: highest, to: end },
      ];
  return (s) => {
    if (s > total) {
      const problem = `OneCycleLR with total_steps = ${total} has no rate for step ${s}.`;
      throw optionError('total_steps', total, problem, 'Set total_steps to the steps of the run.', 'SCHEDULE_STEP');
    }
    const k = s > total - 1 ? phases.length - 1 : phases.findIndex(({ until }) => s <= until);
    const phase = phases[k]!;
    const begin = phases[k - 1]?.until ?? 0;
    return anneal(phase.from, phase.to, (s - begin) / (phase.until - begin));
  };
}

function cosineBetween(from: number, to: number, share: number): number {
  return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
}

function lineBetween(from: number, to: number, share: number): number {
  return from + (to - from) * share;
}
