/** Stable codes of {@link TrainerError}. */
export type TrainerErrorCode =
  | 'NON_FINITE_LOSS'
  | 'NON_FINITE_GRADIENT'
  | 'NON_FINITE_WEIGHTS'
  | 'BATCH_INCOMPLETE'
  | 'BATCH_UNFIT'
  | 'OPTION_CONFLICT'
  | 'FILE_UNUSABLE'
  | 'OUTPUT_UNWRITABLE'
  | 'CACHE_OF_OTHER_MODEL'
  | 'DEVICE_LEFT';

/** What a training run found wrong, with the facts as fields. */
export interface TrainerErrorFacts {
  /** Optimizer step that was being made, from 1. */
  readonly step?: number;
  /** Item keys of the batch. */
  readonly items?: readonly string[];
  readonly file?: string;
  readonly option?: string;
  /** That the device left to the CPU. */
  readonly operators?: readonly string[];
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
    super(found + (found.endsWith('\n') ? '' : ' ') + remedy, options);
    this.code = code;
    this.remedy = remedy;
    this.facts = facts;
  }
}
