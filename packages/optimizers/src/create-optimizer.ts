import { OptimizerError, unknownName } from './errors.ts';
import { readArguments } from './internal/arguments.ts';
import { createFromRule } from './internal/create-from-rule.ts';
import type { Optimizer, ParameterGroup } from './optimizer.ts';
import { optimizers } from './registry.ts';
import type { OptimizerDefinition } from './registry.ts';

/**
 * The optimizer that `--optimizer_type` and `--optimizer_args` name.
 *
 * @param type e.g. `AdamW` (adamw and adafactor in any case), `SGD`, `torch.optim.AdamW`
 * @param groups parameters, which steps update in place
 * @param args values as plain numbers, texts, booleans and lists, e.g. `{ betas: [0.9, 0.99], weight_decay: 0.1 }`
 * @throws {OptimizerError} `UNKNOWN_OPTIMIZER` with the nearest name, `UNSUPPORTED_OPTIMIZER`, `UNKNOWN_ARGUMENT`,
 *   `OPTIMIZER_ARGUMENT`, `BAD_PARAMETERS`, `BAD_LEARNING_RATE`
 *
 * @example
 * ```ts
 * import { createOptimizer } from '@musubi/optimizers';
 *
 * const weight = { name: 'weight', data: Float32Array.of(1, -1), shape: [2] };
 * const optimizer = createOptimizer('SGD', [{ name: 'all', learningRate: 0.5, parameters: [weight] }]);
 * optimizer.step(new Map([['weight', Float32Array.of(1, 1)]]), [0.5]);
 * console.log(weight.data); // Float32Array(2) [ 0.5, -1.5 ]
 * ```
 */
export function createOptimizer(
  type: string,
  groups: readonly ParameterGroup[],
  args: Readonly<Record<string, unknown>> = {},
): Optimizer {
  const { className, defaults, rule } = findOptimizer(type);
  return createFromRule(rule(className, readArguments(type, args, defaults), groups), groups);
}

/** @throws {OptimizerError} `UNKNOWN_OPTIMIZER` with the nearest name, `UNSUPPORTED_OPTIMIZER` */
export function findOptimizer(type: string): OptimizerDefinition {
  const lower = type.toLowerCase();
  const found = optimizers.find(({ names, caseless }) => caseless === lower || names.includes(type));
  if (found) return found;
  const reason = /8bit$|^bitsandbytes\./.test(lower)
    ? 'is an optimizer of bitsandbytes that is not implemented here'
    : elsewhere.has(type)
      ? 'is not implemented here'
      : null;
  if (reason !== null) {
    const remedy = 'Use AdamW, or AdamW8bit where memory is short.';
    throw new OptimizerError('UNSUPPORTED_OPTIMIZER', `optimizer_type = "${type}" ${reason}.`, remedy, {
      option: 'optimizer_type',
      value: type,
    });
  }
  const problem =
    type === '' ? 'optimizer_type is empty.' : `optimizer_type = "${type}" is not an optimizer known here.`;
  const known = optimizers.map(({ names }) => names[0]!);
  throw unknownName('UNKNOWN_OPTIMIZER', 'optimizer_type', type, problem, known);
}

/** Classes of PyTorch that are not implemented; its Adafactor is another one than that of `Adafactor`. */
const elsewhere = new Set(
  ['Adadelta', 'ASGD', 'Rprop', 'LBFGS', 'SparseAdam'].flatMap((name) => [name, `torch.optim.${name}`]),
).add('torch.optim.Adafactor');
