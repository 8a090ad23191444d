/** Stable codes of {@link AutodiffError}. */
export type AutodiffErrorCode =
  | 'NO_GRADIENT_RULE'
  | 'UNKNOWN_NAME'
  | 'NOT_DIFFERENTIABLE'
  | 'BAD_RULE'
  | 'BAD_OPTION'
  | 'BAD_ARTIFACTS';

/** A graph that cannot be differentiated, or training artifacts that cannot be read. */
export class AutodiffError extends Error {
  override readonly name = 'AutodiffError';
  readonly code: AutodiffErrorCode;
  readonly remedy: string;
  /** Node, value or file concerned. */
  readonly at: string;

  constructor(code: AutodiffErrorCode, at: string, found: string, remedy: string, options?: { cause?: unknown }) {
    super(`${at}: ${found} ${remedy}`, options);
    this.code = code;
    this.at = at;
    this.remedy = remedy;
  }
}
