import { SamplerError } from '../errors.ts';
import type { TimestepHistogram } from '../timestep-histogram.ts';
import { assertNumber } from './numbers.ts';

/** @throws {SamplerError} `BATCH_SHAPE`, `BAD_NUMBER` unless there are counts and weights and all are numbers of at least 0 */
export function assertHistogram({ counts, weights }: Pick<TimestepHistogram, 'counts' | 'weights'>): void {
  for (const [name, values] of Object.entries({ counts, weights })) {
    if (values.length === 0) {
      const remedy = 'Pass what timestepHistogram returned.';
      throw new SamplerError('BATCH_SHAPE', `A histogram without ${name} shows nothing.`, remedy, {
        option: name,
        value: values,
      });
    }
    for (const value of values) assertNumber(name, value, (x) => x >= 0 && x < Infinity, 'numbers of at least 0');
  }
}
