/** Stable codes of {@link TrainerError}. */
export type TrainerErrorCode =
  | 'NON_FINITE_LOSS'
  | 'NON_FINITE_GRADIENT'
  | 'BATCH_INCOMPLETE'
  | 'OUTPUT_UNWRITABLE'
  | 'FILE_NOT_FOUND';

/** What a training run found wrong, with the facts as fields. */
export interface TrainerErrorFacts {
  /** Optimizer step that was being made, from 1. */
  readonly step?: number;
  /** Item keys of the batch. */
  readonly items?: readonly string[];
  readonly file?: string;
  readonly option?: string;
}

/** A training run that cannot start or go on. */
export class TrainerError extends Error {
  override readonly name = 'TrainerError';
  readonly code: TrainerErrorCode;
  readonly remedy: string;
  readonly facts: TrainerErrorFacts;

  constructor(
    code: TrainerErrorCode,
    found: string,
    remedy: string,
    facts: TrainerErrorFacts = {},
    options?: { cause?: unknown },
  ) {
    super(`${found} ${remedy}`, options);
    this.code = code;
    this.remedy = remedy;
    this.facts = facts;
  }
}
