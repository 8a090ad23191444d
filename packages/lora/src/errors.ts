/** What can be wrong with patterns, ranks, adapter files and metadata. Stable: recognise errors by these. */
export type LoraErrorCode =
  | 'PATTERN_INVALID'
  | 'PATTERN_UNSUPPORTED'
  | 'EMPTY_SELECTION'
  | 'DUPLICATE_NAME'
  | 'RANK_INVALID'
  | 'ALPHA_INVALID'
  | 'NOT_A_LORA'
  | 'ADAPTER_UNSUPPORTED'
  | 'INCOMPLETE_MODULE'
  | 'NOT_FINITE'
  | 'RANK_MISMATCH'
  | 'SHAPE_MISMATCH'
  | 'ALPHA_MISMATCH'
  | 'NOTHING_MATCHES'
  | 'PRECISION_UNKNOWN'
  | 'ARCHITECTURE_UNKNOWN'
  | 'METADATA_RESOLUTION'
  | 'METADATA_INCOMPLETE'
  | 'SHA256_UNAVAILABLE'
  | 'TARGET_NOT_FOUND'
  | 'KEY_UNKNOWN'
  | 'NOT_THE_SAME_ADAPTER'
  | 'AVERAGE_OPTION'
  | 'MULTIPLIER_INVALID'
  | 'BASE_QUANTIZED'
  | 'OUTPUT_IS_INPUT'
  | 'FILE_MISSING'
  | 'KIND_MISMATCH'
  | 'FACTOR_INVALID'
  | 'SIZE_INVALID'
  | 'LEARNING_RATE'
  | 'LORAPLUS_RATIO'
  | 'NORM_LIMIT'
  | 'DROPOUT_SHARE';

export interface LoraErrorFacts {
  /** name of the adapted module, e.g. `lora_unet_blocks_0_self_attn_q` */
  readonly module?: string;
  /** option as the user writes it, e.g. `network_dim` */
  readonly option?: string;
  /** what was found and what was expected */
  readonly found?: string | number;
  readonly expected?: string | number;
  readonly nearest?: string;
  readonly cause?: unknown;
}

/** The only error of this package; `message` ends with `remedy`. */
export class LoraError extends Error {
  override readonly name = 'LoraError';
  readonly code: LoraErrorCode;
  /** what to do now */
  readonly remedy: string;
  readonly module: string | undefined;
  readonly option: string | undefined;
  readonly found: string | number | undefined;
  readonly expected: string | number | undefined;
  readonly nearest: string | undefined;

  constructor(code: LoraErrorCode, problem: string, remedy: string, facts: LoraErrorFacts = {}) {
    super(`${problem} ${remedy}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.remedy = remedy;
    this.module = facts.module;
    this.option = facts.option;
    this.found = facts.found;
    this.expected = facts.expected;
    this.nearest = facts.nearest;
  }
}
