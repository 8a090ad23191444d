/** What can be wrong with options, weights and files. Stable: recognise errors by these. */
export type Fp8ErrorCode =
  | 'UNKNOWN_FORMAT'
  | 'UNKNOWN_MODE'
  | 'UNKNOWN_ARCHITECTURE'
  | 'BLOCK_SIZE_INVALID'
  | 'WORKERS_INVALID'
  | 'EMPTY_TENSOR'
  | 'SCALE_INVALID'
  | 'NOT_FINITE'
  | 'ALREADY_QUANTIZED'
  | 'UNSUPPORTED_DTYPE'
  | 'SHAPE_MISMATCH'
  | 'SCALE_MISSING'
  | 'NOTHING_MATCHES'
  | 'HOOK_RESULT'
  | 'SAME_FILE'
  | 'READ_FAILED'
  | 'WRITE_FAILED'
  | 'INTERNAL';

export interface Fp8ErrorFacts {
  /** key of the weight */
  readonly tensor?: string;
  readonly file?: string;
  /** what was found and what was expected */
  readonly found?: string | number;
  readonly expected?: string;
  readonly cause?: unknown;
}

/** A request that cannot be answered, or weights that cannot be quantized; `message` ends with `remedy`. */
export class Fp8Error extends Error {
  override readonly name = 'Fp8Error';
  readonly code: Fp8ErrorCode;
  /** what to do now, one or two sentences */
  readonly remedy: string;
  readonly tensor: string | undefined;
  readonly file: string | undefined;
  readonly found: string | number | undefined;
  readonly expected: string | undefined;

  constructor(code: Fp8ErrorCode, problem: string, remedy: string, facts: Fp8ErrorFacts = {}) {
    super(`${problem} ${remedy}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.remedy = remedy;
    this.tensor = facts.tensor;
    this.file = facts.file;
    this.found = facts.found;
    this.expected = facts.expected;
  }
}
