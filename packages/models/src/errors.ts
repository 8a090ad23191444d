/** Stable codes of {@link ModelError}. */
export type ModelErrorCode =
  | 'UNKNOWN_TASK'
  | 'TASK_MISMATCH'
  | 'UNSUPPORTED_MODEL'
  | 'UNSUPPORTED_DTYPE'
  | 'DUPLICATE_KEY'
  | 'KEY_MISMATCH'
  | 'BAD_MODEL_CONFIG'
  | 'HEADS_UNKNOWN'
  | 'BAD_BATCH';

/** What a {@link ModelError} knows besides its message. */
export interface ModelErrorFacts {
  /** Tensors that the model needs and the checkpoint lacks. */
  readonly missing?: readonly string[];
  /** Tensors of the checkpoint that the model does not have. */
  readonly unexpected?: readonly string[];
  /** Tensors whose shape differs from the model's. */
  readonly misshapen?: readonly string[];
  /** The option, configuration key or tensor concerned. */
  readonly subject?: string;
  /** What it was found to be, as the user wrote it. */
  readonly value?: unknown;
}

/** A checkpoint, configuration or batch that the model cannot be built or fed from. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ModelErrorCode;
  readonly remedy: string;
  readonly facts: ModelErrorFacts;

  constructor(code: ModelErrorCode, found: string, remedy: string, facts: ModelErrorFacts = {}) {
    super(found + (found.endsWith('\n') ? '' : ' ') + remedy);
    this.code = code;
    this.remedy = remedy;
    this.facts = facts;
  }
}
