import { OptimizerError } from '../errors.ts';
import type { ParameterGroup } from '../optimizer.ts';

/**
 * @throws {OptimizerError} `BAD_PARAMETERS` for no parameter at all, two of a name, a shape that does not fit, values that are
 *   no numbers; `BAD_LEARNING_RATE`
 */
export function assertGroups(groups: readonly ParameterGroup[]): void {
  for (const { name, learningRate } of groups) {
    if (learningRate >= 0 && learningRate < Infinity) continue;
    const problem = `The group "${name}" has the learning rate ${learningRate}.`;
    throw new OptimizerError('BAD_LEARNING_RATE', problem, 'Give every group a number of at least 0, e.g. 1e-4.', {
      option: 'learningRate',
      value: learningRate,
    });
  }
  const names = new Set<string>();
  for (const { name, data, shape } of groups.flatMap(({ parameters }) => parameters)) {
    const size = shape.reduce((product, n) => product * n, 1);
    const problem = names.has(name)
      ? `There are two parameters named "${name}".`
      : size !== data.length
        ? `The parameter "${name}" of shape [${shape.join(', ')}] has ${data.length} values instead of ${size}.`
        : size === 0
          ? `The parameter "${name}" of shape [${shape.join(', ')}] is empty.`
          : data.every(Number.isFinite)
            ? null
            : `The parameter "${name}" holds NaN or infinity.`;
    names.add(name);
    if (problem === null) continue;
    throw new OptimizerError('BAD_PARAMETERS', problem, 'Pass every parameter once, finite and with its own shape.', {
      option: name,
      value: shape,
    });
  }
  if (names.size > 0) return;
  const remedy = 'Check the learning rates (a group with rate 0 is left out) and the target modules of the adapter.';
  throw new OptimizerError('BAD_PARAMETERS', 'There is no parameter to train.', remedy, {
    option: 'groups',
    value: groups.length,
  });
}

/** @throws {OptimizerError} `BAD_GRADIENT`, `BAD_LEARNING_RATE` */
export function assertStep(
  groups: readonly ParameterGroup[],
  gradients: ReadonlyMap<string, Float32Array>,
  learningRates: readonly number[],
): void {
  if (learningRates.length !== groups.length || !learningRates.every((rate) => rate >= 0 && Number.isFinite(rate))) {
    const problem = `The learning rates [${learningRates.join(', ')}] are not one number of at least 0 for each of ${groups.length} groups.`;
    const remedy = 'Pass one rate a group, in the order of the groups.';
    throw new OptimizerError('BAD_LEARNING_RATE', problem, remedy, { option: 'learningRates', value: learningRates });
  }
  for (const { name, data } of groups.flatMap(({ parameters }) => parameters)) {
    const size = gradients.get(name)?.length;
    if (size === data.length) continue;
    const found = size === undefined ? 'no gradient' : `a gradient of ${size} values`;
    const problem = `The parameter "${name}" of ${data.length} values has ${found}.`;
    const remedy = 'Pass a gradient of the same size for every parameter.';
    throw new OptimizerError('BAD_GRADIENT', problem, remedy, { option: name, value: size });
  }
}
