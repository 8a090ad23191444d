/** Codes of `RandomError`. */
export type RandomErrorCode = 'BAD_SEED' | 'BAD_COUNT' | 'BAD_RANGE' | 'BAD_STATE';

/** A request that a generator cannot answer. Recognise it by `code`. */
export class RandomError extends Error {
  override readonly name = 'RandomError';
  readonly code: RandomErrorCode;
  /** What to do now. */
  readonly remedy: string;
  /** The value that was refused. */
  readonly value: unknown;

  constructor(code: RandomErrorCode, problem: string, remedy: string, value: unknown) {
    super(`${problem} ${remedy}`);
    this.code = code;
    this.remedy = remedy;
    this.value = value;
  }
}

/** Throws `BAD_COUNT` unless `value` is an integer in `minimum … maximum`. */
export function assertCount(what: string, value: number, minimum: number, maximum = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
  const limit = maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
  throw new RandomError('BAD_COUNT', `${what} is ${value}.`, `Pass an integer ${limit}.`, value);
}

/** The seed as a bigint. Throws `BAD_SEED` for anything but an integer that a number holds exactly. */
export function seedToBigInt(seed: number | bigint): bigint {
  if (typeof seed === 'bigint') return seed;
  if (Number.isSafeInteger(seed)) return BigInt(seed);
  throw new RandomError(
    'BAD_SEED',
    `The seed is ${seed}.`,
    'Pass an integer, and beyond 2^53 a bigint, so that no digit is lost.',
    seed,
  );
}
