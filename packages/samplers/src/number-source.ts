import type { NumberSource } from './create-timestep-sampler.ts';
import { assertNumber, isCount, isProbability } from './internal/numbers.ts';
import { probitClamped } from './probit.ts';

/**
 * A source of numbers from any generator of uniform ones, e.g. `Math.random`. Normal numbers are their quantiles, one uniform
 * number each, so that the generator's state alone continues a run.
 *
 * @param uniform gives a number in [0, 1)
 * @throws {SamplerError} `BAD_NUMBER` (when numbers are drawn) for another number, or a count that is none
 *
 * @example
 * ```ts
 * import { numberSource } from '@musubi/samplers';
 *
 * console.log(numberSource(() => 0.5).randn(2)); // Float32Array(2) [ 0, 0 ]
 * ```
 */
export function numberSource(uniform: () => number): NumberSource {
  const rand = (count: number): Float32Array => {
    assertNumber('count', count, isCount, 'a whole number of at least 0');
    return Float32Array.from({ length: count }, belowOne(uniform));
  };
  return { rand, randn: (count) => rand(count).map(probitClamped) };
}

/** Rounding to float32 must not give 1. */
function belowOne(uniform: () => number): () => number {
  const largest = 1 - 2 ** -24;
  return () => {
    const u = uniform();
    assertNumber('uniform()', u, isProbability, 'a generator of numbers in [0, 1)');
    return Math.min(u, largest);
  };
}
