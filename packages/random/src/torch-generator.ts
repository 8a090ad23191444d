import { roundToBfloat16 } from './bfloat16.ts';
import { assertCount, RandomError, seedToBigInt } from './errors.ts';
import { MersenneTwister } from './mersenne-twister.ts';
import type { MersenneTwisterState } from './mersenne-twister.ts';
import { fillNormal, GROUP } from './torch-normal.ts';
import type { NormalDtype } from './torch-normal.ts';

/** Saved `TorchGenerator`. Survives `JSON.stringify` without losing a bit. */
export interface GeneratorState extends MersenneTwisterState {
  /** second value of the last Box-Muller pair, waiting for the next draw of fewer than 16 normals */
  readonly keptNormal: number | null;
}

/**
 * PyTorch's CPU generator: MT19937 with the mappings of `torch.rand`, `torch.randn`, `torch.randperm`.
 *
 * Uniforms, permutations, integers and bfloat16 normals equal PyTorch's bit for bit, float32 normals those of PyTorch on
 * processors with AVX2; on others its logarithm and sine differ by up to 2e-6.
 *
 * @example
 * ```ts
 * import { TorchGenerator } from '@musubi/random';
 *
 * const generator = new TorchGenerator(42);
 * console.log(generator.randperm(5)); // [ 2, 4, 3, 0, 1 ]
 * console.log(TorchGenerator.fromState(generator.state()).rand(1)[0] === generator.rand(1)[0]); // true
 * ```
 */
export class TorchGenerator {
  #engine: MersenneTwister;
  #keptNormal: number | null = null;

  /**
   * @param seed as for `torch.manual_seed`; only the low 32 bits count
   * @throws {RandomError} `BAD_SEED` for a fraction or an unsafe number
   */
  constructor(seed: number | bigint) {
    this.#engine = new MersenneTwister(Number(BigInt.asUintN(32, seedToBigInt(seed))));
  }

  /** 32-bit outputs since seeding. */
  get wordsDrawn(): number {
    return this.#engine.wordsDrawn;
  }

  /** `count` uniforms in [0, 1), multiples of 2⁻²⁴: `torch.rand(count)`. */
  rand(count: number): Float32Array {
    assertCount('The number of values', count, 0);
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = (this.#engine.next() & 0xffffff) / 2 ** 24;
    return values;
  }

  /**
   * `count` uniforms in [from, to): `torch.empty(count).uniform_(from, to)`.
   *
   * @throws {RandomError} `BAD_RANGE` unless both ends are finite and `from ≤ to`
   */
  uniform(count: number, from: number, to: number): Float32Array {
    assertCount('The number of values', count, 0);
    if (!Number.isFinite(from) || !Number.isFinite(to) || from > to) {
      const remedy = 'Pass two finite numbers, the smaller first.';
      throw new RandomError('BAD_RANGE', `There are no numbers between ${from} and ${to}.`, remedy, [from, to]);
    }
    const low = Math.fround(from);
    const width = Math.fround(Math.fround(to) - low);
    const values = new Float32Array(count);
    // The product of two 24-bit numbers is exact in double, so product and sum are rounded once, as by a fused multiply-add.
    for (let i = 0; i < count; i++) values[i] = ((this.#engine.next() & 0xffffff) / 2 ** 24) * width + low;
    return values;
  }

  /**
   * `count` standard normals: `torch.randn(count, dtype)`.
   *
   * Fewer than 16 values come from pairs in double precision, whose second value is kept for the next such draw; from
   * 16 on one output a value is used, and bfloat16 has 256 different uniforms behind it (|z| ≤ 3.34).
   *
   * @returns float32 array; with `bfloat16` its values are bfloat16 numbers
   */
  randn(count: number, dtype: NormalDtype = 'float32'): Float32Array {
    assertCount('The number of values', count, 0);
    if (count >= GROUP) return fillNormal(this.#engine, count, dtype);
    const values = Float32Array.from({ length: count }, () => this.#normal());
    return dtype === 'bfloat16' ? values.map(roundToBfloat16) : values;
  }

  /** An integer in [0, 2⁶³): `torch.empty((), dtype=torch.int64).random_()`, which seeds data loaders and permutations. */
  randomInt63(): bigint {
    return BigInt.asUintN(63, this.#word64());
  }

  /**
   * A permutation of 0…n−1: `torch.randperm(n)`.
   *
   * @throws {RandomError} `BAD_COUNT` for n above 214,748,363, from where PyTorch draws differently
   */
  randperm(n: number): number[] {
    assertCount('The length of the permutation', n, 0, Math.floor((2 ** 32 - 1) / 20) - 1);
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = 0; i < n - 1; i++) {
      const j = i + (this.#engine.next() % (n - i));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }

  /** Leaves out `words` outputs, e.g. those of draws whose values nobody needs. A kept normal stays. */
  skip(words: number): void {
    assertCount('The number of words', words, 0);
    this.#engine.skip(words);
  }

  state(): GeneratorState {
    return { ...this.#engine.state(), keptNormal: this.#keptNormal };
  }

  /** @throws {RandomError} `BAD_STATE` when `state` is not what `state()` returned */
  static fromState(state: GeneratorState): TorchGenerator {
    const generator = new TorchGenerator(0);
    generator.#engine = MersenneTwister.fromState(state);
    const { keptNormal } = state;
    if (keptNormal !== null && !Number.isFinite(keptNormal)) {
      const problem = `This is no saved generator: "keptNormal" is ${String(keptNormal)}, not a number or null.`;
      throw new RandomError('BAD_STATE', problem, 'Pass what state() returned.', state);
    }
    generator.#keptNormal = keptNormal;
    return generator;
  }

  #word64(): bigint {
    const high = this.#engine.next();
    return (BigInt(high) << 32n) | BigInt(this.#engine.next());
  }

  /** 53 bits of a 64-bit word, in [0, 1). */
  #uniform53(): number {
    const high = this.#engine.next() & 0x1fffff;
    return (high * 2 ** 32 + this.#engine.next()) / 2 ** 53;
  }

  #normal(): number {
    const kept = this.#keptNormal;
    this.#keptNormal = null;
    if (kept !== null) return kept;
    const theta = 2 * Math.PI * this.#uniform53();
    const r = Math.sqrt(-2 * Math.log1p(-this.#uniform53()));
    this.#keptNormal = r * Math.sin(theta);
    return r * Math.cos(theta);
  }
}
