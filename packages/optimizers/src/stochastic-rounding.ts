import { OptimizerError } from './errors.ts';

/**
 * Rounds float32 values to bfloat16 stochastically: up or down with the probability of the distance, so that small updates
 * of bfloat16 weights are not lost on average.
 *
 * @param bits float32 bit patterns
 * @param random16 uniform integers 0…65535, as many
 * @returns bfloat16 bit patterns: `(bits + random16) >> 16`
 * @throws {OptimizerError} `BAD_PARAMETERS` when there are not as many
 *
 * @example
 * ```ts
 * import { roundStochastically } from '@musubi/optimizers';
 *
 * const bits = new Uint32Array(Float32Array.of(1.001).buffer);
 * const [down, up] = [0, 65535].map((random) => roundStochastically(bits, Uint16Array.of(random))[0]!);
 * console.log(up! - down!); // 1
 * ```
 */
export function roundStochastically(bits: Uint32Array, random16: Uint16Array): Uint16Array {
  if (random16.length !== bits.length) {
    const problem = `${bits.length} values cannot be rounded with ${random16.length} random numbers.`;
    throw new OptimizerError('BAD_PARAMETERS', problem, 'Pass one random number for each value.', {
      option: 'random16',
      value: random16.length,
    });
  }
  return Uint16Array.from(bits, (word, i) => (word + random16[i]!) >>> 16);
}
