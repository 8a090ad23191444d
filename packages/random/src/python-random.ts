import { assertCount, RandomError, seedToBigInt } from './errors.ts';
import { MersenneTwister } from './mersenne-twister.ts';
import type { MersenneTwisterState } from './mersenne-twister.ts';

/**
 * Python's `random.Random` for integer seeds: the same numbers from the same seed, bit for bit.
 *
 * @example
 * ```ts
 * import { PythonRandom } from '@musubi/random';
 *
 * console.log(new PythonRandom(42).random()); // 0.6394267984578837
 * ```
 */
export class PythonRandom {
  #engine: MersenneTwister;

  /**
   * @param seed as for `random.seed`; the sign does not count
   * @throws {RandomError} `BAD_SEED` for a fraction or an unsafe number
   */
  constructor(seed: number | bigint) {
    this.#engine = new MersenneTwister(words32(seedToBigInt(seed)));
  }

  /** A number in [0, 1) with 53 random bits. */
  random(): number {
    const high = this.#engine.next() >>> 5;
    return (high * 2 ** 26 + (this.#engine.next() >>> 6)) / 2 ** 53;
  }

  /** An integer in [0, 2ᵏ), k = 0…53. */
  getrandbits(k: number): number {
    assertCount('The number of bits', k, 0, 53);
    if (k === 0) return 0;
    if (k <= 32) return this.#engine.next() >>> (32 - k);
    const low = this.#engine.next();
    return (this.#engine.next() >>> (64 - k)) * 2 ** 32 + low;
  }

  /** An integer in [0, n), n = 1…2⁵³ − 1: draws as many bits as n has until the value is below n. */
  below(n: number): number {
    assertCount('The limit', n, 1);
    const bits = BigInt(n).toString(2).length;
    let value = this.getrandbits(bits);
    while (value >= n) value = this.getrandbits(bits);
    return value;
  }

  /**
   * An integer from `a` to `b`, both included.
   *
   * @throws {RandomError} `BAD_RANGE` unless both are integers and `a ≤ b`
   */
  randint(a: number, b: number): number {
    if (!Number.isSafeInteger(a) || !Number.isSafeInteger(b) || a > b || !Number.isSafeInteger(b - a + 1)) {
      const remedy = 'Pass two integers, the smaller first.';
      throw new RandomError('BAD_RANGE', `There are no integers from ${a} to ${b}.`, remedy, [a, b]);
    }
    return a + this.below(b - a + 1);
  }

  /** `a + (b − a)·random()`. */
  uniform(a: number, b: number): number {
    return a + (b - a) * this.random();
  }

  /** Shuffles the list in place, from its end. */
  shuffle<T>(list: T[]): void {
    for (let i = list.length - 1; i >= 1; i--) {
      const j = this.below(i + 1);
      [list[i], list[j]] = [list[j]!, list[i]!];
    }
  }

  state(): MersenneTwisterState {
    return this.#engine.state();
  }

  /** @throws {RandomError} `BAD_STATE` when `state` is not what `state()` returned */
  static fromState(state: MersenneTwisterState): PythonRandom {
    const generator = new PythonRandom(0);
    generator.#engine = MersenneTwister.fromState(state);
    return generator;
  }
}

/** 32-bit words of |seed|, least significant first; zero is one word. */
function words32(seed: bigint): number[] {
  const words: number[] = [];
  let rest = seed < 0n ? -seed : seed;
  do {
    words.push(Number(rest & 0xffffffffn));
    rest >>= 32n;
  } while (rest > 0n);
  return words;
}
