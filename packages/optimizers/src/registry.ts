import { adafactorDefaults, adafactorRule } from './adafactor.ts';
import { adagradDefaults, adagradRule } from './adagrad.ts';
import { adamaxDefaults, adamaxRule } from './adamax.ts';
import { adamw8bitDefaults, adamw8bitRule } from './adamw-8bit.ts';
import { adamDefaults, adamRule, adamwDefaults, readAdamOptions } from './adamw.ts';
import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';
import { lionDefaults, lionRule } from './lion.ts';
import { nadamDefaults, nadamRule } from './nadam.ts';
import type { ParameterGroup } from './optimizer.ts';
import { prodigyDefaults, prodigyRule } from './prodigy.ts';
import { radamDefaults, radamRule } from './radam.ts';
import { rmspropDefaults, rmspropRule } from './rmsprop.ts';
import {
  adamwScheduleFreeDefaults,
  adamwScheduleFreeRule,
  radamScheduleFreeDefaults,
  radamScheduleFreeRule,
  sgdScheduleFreeDefaults,
  sgdScheduleFreeRule,
} from './schedule-free.ts';
import { sgdDefaults, sgdRule } from './sgd.ts';

/** What is known of an optimizer; help texts, tables and tests are made from it. */
export interface OptimizerDefinition {
  /** full name of the class, as saved files carry it */
  readonly className: string;
  /** names by which `optimizer_type` finds it, in exact case */
  readonly names: readonly string[];
  /** one that is found in any case */
  readonly caseless: string | null;
  readonly doc: string;
  readonly reference: string;
  /** keys of `optimizer_args` and their defaults */
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly rule: (className: string, args: ArgumentReader, groups: readonly ParameterGroup[]) => Rule;
}

/** All optimizers, in the order of the README's table. */
export const optimizers: readonly OptimizerDefinition[] = [
  {
    className: 'torch.optim.adamw.AdamW',
    names: torchNames('AdamW'),
    caseless: 'adamw',
    doc: 'Adam with weight decay apart from the gradient',
    reference: 'Loshchilov & Hutter 2019, arXiv 1711.05101',
    defaults: adamwDefaults,
    rule: (className, args) => adamRule(className, readAdamOptions(args, true)),
  },
  {
    className: 'torch.optim.adam.Adam',
    names: torchNames('Adam'),
    caseless: null,
    doc: 'adaptive moments',
    reference: 'Kingma & Ba 2015, arXiv 1412.6980',
    defaults: adamDefaults,
    rule: (className, args) => adamRule(className, readAdamOptions(args, false)),
  },
  {
    className: 'transformers.optimization.Adafactor',
    names: ['Adafactor', 'transformers.optimization.Adafactor'],
    caseless: 'adafactor',
    doc: 'second moments as one row and one column; chooses its own rates unless relative_step=False',
    reference: 'Shazeer & Stern 2018, arXiv 1804.04235',
    defaults: adafactorDefaults,
    rule: adafactorRule,
  },
  {
    className: 'torch.optim.sgd.SGD',
    names: torchNames('SGD'),
    caseless: null,
    doc: 'gradient descent, momentum, Nesterov',
    reference: 'Sutskever et al. 2013',
    defaults: sgdDefaults,
    rule: sgdRule,
  },
  {
    className: 'torch.optim.radam.RAdam',
    names: torchNames('RAdam'),
    caseless: null,
    doc: 'Adam with a rectified start',
    reference: 'Liu et al. 2020, arXiv 1908.03265',
    defaults: radamDefaults,
    rule: radamRule,
  },
  {
    className: 'torch.optim.nadam.NAdam',
    names: torchNames('NAdam'),
    caseless: null,
    doc: 'Adam with Nesterov momentum',
    reference: 'Dozat 2016',
    defaults: nadamDefaults,
    rule: nadamRule,
  },
  {
    className: 'torch.optim.adagrad.Adagrad',
    names: torchNames('Adagrad'),
    caseless: null,
    doc: 'sums squared gradients',
    reference: 'Duchi et al. 2011',
    defaults: adagradDefaults,
    rule: adagradRule,
  },
  {
    className: 'torch.optim.rmsprop.RMSprop',
    names: torchNames('RMSprop'),
    caseless: null,
    doc: 'averages squared gradients',
    reference: 'Hinton 2012, lecture 6e',
    defaults: rmspropDefaults,
    rule: rmspropRule,
  },
  {
    className: 'torch.optim.adamax.Adamax',
    names: torchNames('Adamax'),
    caseless: null,
    doc: 'Adam with the largest gradient as denominator',
    reference: 'Kingma & Ba 2015, arXiv 1412.6980, §7.1',
    defaults: adamaxDefaults,
    rule: adamaxRule,
  },
  {
    className: 'schedulefree.adamw_schedulefree.AdamWScheduleFree',
    names: ['schedulefree.AdamWScheduleFree', 'schedulefree.adamw_schedulefree.AdamWScheduleFree'],
    caseless: null,
    doc: 'AdamW with averaging in place of a schedule',
    reference: 'Defazio et al. 2024, arXiv 2405.15682',
    defaults: adamwScheduleFreeDefaults,
    rule: adamwScheduleFreeRule,
  },
  {
    className: 'schedulefree.sgd_schedulefree.SGDScheduleFree',
    names: ['schedulefree.SGDScheduleFree', 'schedulefree.sgd_schedulefree.SGDScheduleFree'],
    caseless: null,
    doc: 'SGD with averaging in place of a schedule',
    reference: 'Defazio et al. 2024, arXiv 2405.15682',
    defaults: sgdScheduleFreeDefaults,
    rule: sgdScheduleFreeRule,
  },
  {
    className: 'schedulefree.radam_schedulefree.RAdamScheduleFree',
    names: ['schedulefree.RAdamScheduleFree', 'schedulefree.radam_schedulefree.RAdamScheduleFree'],
    caseless: null,
    doc: 'RAdam with averaging in place of a schedule and of the warm-up',
    reference: 'Defazio et al. 2024, arXiv 2405.15682',
    defaults: radamScheduleFreeDefaults,
    rule: radamScheduleFreeRule,
  },
  {
    className: 'prodigyopt.prodigy.Prodigy',
    names: ['prodigyopt.Prodigy', 'prodigyopt.prodigy.Prodigy'],
    caseless: null,
    doc: 'estimates its step size; learning_rate 1',
    reference: 'Mishchenko & Defazio 2024, arXiv 2306.06101',
    defaults: prodigyDefaults,
    rule: prodigyRule,
  },
  {
    className: 'lion_pytorch.lion_pytorch.Lion',
    names: ['lion_pytorch.Lion', 'lion_pytorch.lion_pytorch.Lion'],
    caseless: null,
    doc: 'sign of an interpolated momentum',
    reference: 'Chen et al. 2023, arXiv 2302.06675',
    defaults: lionDefaults,
    rule: lionRule,
  },
  ...['AdamW8bit', 'PagedAdamW8bit'].map((name) => ({
    className: `bitsandbytes.optim.adamw.${name}`,
    names: [...(name === 'AdamW8bit' ? [name] : []), `bitsandbytes.optim.${name}`, `bitsandbytes.optim.adamw.${name}`],
    caseless: name === 'AdamW8bit' ? 'adamw8bit' : null,
    doc: 'AdamW with moments of 8 bits',
    reference: 'Dettmers et al. 2022, arXiv 2110.02861',
    defaults: adamw8bitDefaults,
    rule: adamw8bitRule,
  })),
];

function torchNames(name: string): readonly string[] {
  return [name, `torch.optim.${name}`];
}
