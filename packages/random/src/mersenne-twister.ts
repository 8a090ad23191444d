import { RandomError } from './errors.ts';

/** State of an MT19937 engine. Survives `JSON.stringify`. */
export interface MersenneTwisterState {
  /** the 624 words of the state vector */
  readonly words: readonly number[];
  /** how many of them have been handed out, 0…624 */
  readonly position: number;
  /** outputs since seeding */
  readonly wordsDrawn: number;
}

const N = 624;
const M = 397;

/** The 32-bit engine MT19937 (Matsumoto & Nishimura 1998), behind both PyTorch's CPU generator and Python's `random`. */
export class MersenneTwister {
  #state: Uint32Array;
  #position = N;
  #wordsDrawn = 0;

  /** @param key one 32-bit number (`init_genrand`) or several (`init_by_array`) */
  constructor(key: number | readonly number[]) {
    this.#state = typeof key === 'number' ? seedByNumber(key) : seedByArray(key);
  }

  get wordsDrawn(): number {
    return this.#wordsDrawn;
  }

  /** The next output, an integer in [0, 2³²). */
  next(): number {
    if (this.#position === N) this.#refill();
    this.#wordsDrawn++;
    let y = this.#state[this.#position++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** Leaves out the next `count` outputs. */
  skip(count: number): void {
    this.#wordsDrawn += count;
    let left = count;
    while (left > N - this.#position) {
      left -= N - this.#position;
      this.#refill();
    }
    this.#position += left;
  }

  state(): MersenneTwisterState {
    return { words: [...this.#state], position: this.#position, wordsDrawn: this.#wordsDrawn };
  }

  static fromState(state: MersenneTwisterState): MersenneTwister {
    assertState(state);
    const engine = new MersenneTwister(0);
    engine.#state = Uint32Array.from(state.words);
    engine.#position = state.position;
    engine.#wordsDrawn = state.wordsDrawn;
    return engine;
  }

  #refill(): void {
    const s = this.#state;
    for (let k = 0; k < N; k++) {
      const y = (s[k]! & 0x80000000) | (s[(k + 1) % N]! & 0x7fffffff);
      s[k] = s[(k + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#position = 0;
  }
}

function seedByNumber(seed: number): Uint32Array {
  const s = new Uint32Array(N);
  s[0] = seed;
  for (let i = 1; i < N; i++) s[i] = Math.imul(1812433253, s[i - 1]! ^ (s[i - 1]! >>> 30)) + i;
  return s;
}

function seedByArray(key: readonly number[]): Uint32Array {
  const s = seedByNumber(19650218);
  let i = 1;
  const advance = (): void => {
    if (++i < N) return;
    s[0] = s[N - 1]!;
    i = 1;
  };
  const mixed = (factor: number): number => Math.imul(factor, s[i - 1]! ^ (s[i - 1]! >>> 30));
  for (let k = 0; k < Math.max(N, key.length); k++) {
    const j = k % key.length;
    s[i] = (s[i]! ^ mixed(1664525)) + key[j]! + j;
    advance();
  }
  for (let k = 1; k < N; k++) {
    s[i] = (s[i]! ^ mixed(1566083941)) - i;
    advance();
  }
  s[0] = 0x80000000;
  return s;
}

function assertState(state: MersenneTwisterState): void {
  const { words, position, wordsDrawn } = state;
  const problem =
    !Array.isArray(words) || words.length !== N || !words.every(isWord)
      ? `"words" is not a list of ${N} integers below 2^32`
      : !Number.isInteger(position) || position < 0 || position > N
        ? `"position" is ${String(position)}, not an integer from 0 to ${N}`
        : !Number.isSafeInteger(wordsDrawn) || wordsDrawn < 0
          ? `"wordsDrawn" is ${String(wordsDrawn)}, not a count`
          : null;
  if (problem === null) return;
  throw new RandomError('BAD_STATE', `This is no saved generator: ${problem}.`, 'Pass what state() returned.', state);
}

function isWord(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff;
}
