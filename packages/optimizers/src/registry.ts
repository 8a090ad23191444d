import { adamDefaults, adamRule, adamwDefaults, readAdamOptions } from './adamw.ts';
import type { ArgumentReader } from './internal/arguments.ts';
import type { Rule } from './internal/create-from-rule.ts';
import type { ParameterGroup } from './optimizer.ts';

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
];

function torchNames(name: string): readonly string[] {
  return [name, `torch.optim.${name}`];
}
