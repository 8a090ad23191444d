import type { AdamwGraphOptions } from './adamw-graph.ts';

import { readAdamOptions } from './adamw.ts';
import { findOptimizer } from './create-optimizer.ts';
import { readArguments } from './internal/arguments.ts';

/**
 * The options with which `adamwGraph` steps as the optimizer that `--optimizer_type` and `--optimizer_args` name; null
 * where it cannot: another optimizer than AdamW, or `amsgrad`.
 *
 * @throws {OptimizerError} as `createOptimizer`
 */
export function adamwGraphOptions(
  type: string,
  args: Readonly<Record<string, unknown>> = {},
): Required<Pick<AdamwGraphOptions, 'betas' | 'eps' | 'weightDecay'>> | null {
  const { className, defaults } = findOptimizer(type);
  if (className !== 'torch.optim.adamw.AdamW') return null;
  const { betas, eps, weightDecay, amsgrad } = readAdamOptions(readArguments(className, args, defaults), true);
  return amsgrad ? null : { betas, eps, weightDecay };
}
