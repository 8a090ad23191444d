/** Codes of `MagCacheError`. */
export type MagCacheErrorCode =
  | 'MAGCACHE_OPTION'
  | 'MAG_RATIOS'
  | 'STEP_ORDER'
  | 'RESIDUAL_SHAPE'
  | 'RESIDUAL_VALUES'
  | 'NOT_CALIBRATED';

/** A setting, a step or a residual that cannot be used. Recognise it by `code`. */
export class MagCacheError extends Error {
  override readonly name = 'MagCacheError';
  readonly code: MagCacheErrorCode;
  /** What to do now. */
  readonly remedy: string;
  /** The option or argument, e.g. `threshold`. */
  readonly option: string;
  readonly value: unknown;

  constructor(code: MagCacheErrorCode, problem: string, remedy: string, facts: { option: string; value: unknown }) {
    super(`${problem} ${remedy}`);
    this.code = code;
    this.remedy = remedy;
    this.option = facts.option;
    this.value = facts.value;
  }
}

/** @throws {MagCacheError} `MAGCACHE_OPTION` unless `value` is a whole number of at least `least` */
export function assertWhole(option: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new MagCacheError(
    'MAGCACHE_OPTION',
    `${option} = ${value} is not a whole number of at least ${least}.`,
    `Give ${option} as ${least}, ${least + 1}, ${least + 2}, …`,
    { option, value },
  );
}
