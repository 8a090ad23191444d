/** What can be wrong with a checkpoint file, a set of shards, or a request. Stable: recognise errors by these. */
export type SafetensorsErrorCode =
  | 'NOT_SAFETENSORS'
  | 'TRUNCATED'
  | 'HEADER_TOO_LARGE'
  | 'HEADER_NOT_JSON'
  | 'HEADER_INVALID'
  | 'DUPLICATE_KEY'
  | 'UNKNOWN_DTYPE'
  | 'SIZE_MISMATCH'
  | 'OFFSETS_OUT_OF_RANGE'
  | 'OFFSETS_OVERLAP'
  | 'OFFSETS_HOLE'
  | 'DUPLICATE_TENSOR'
  | 'DUPLICATE_SHARD'
  | 'MISSING_SHARD'
  | 'INDEX_INVALID'
  | 'INDEX_MISMATCH'
  | 'NOT_PTH'
  | 'PTH_OLD_FORMAT'
  | 'PTH_UNSUPPORTED'
  | 'PTH_INCOMPLETE'
  | 'ZIP_DAMAGED'
  | 'ZIP_COMPRESSED'
  | 'ZIP_ENCRYPTED'
  | 'PICKLE_DAMAGED'
  | 'PICKLE_REFUSED'
  | 'PICKLE_TOO_LARGE'
  | 'TENSOR_INVALID'
  | 'NO_STATE_DICT'
  | 'TENSOR_NOT_FOUND'
  | 'NAME_RESERVED'
  | 'CONVERSION_UNSUPPORTED'
  | 'FILE_NOT_FOUND'
  | 'IS_A_FOLDER'
  | 'READ_FAILED'
  | 'WRITE_FAILED'
  | 'FILE_IN_USE';

export interface SafetensorsErrorFacts {
  /** name of the byte source: in Node the path of the file */
  readonly file?: string;
  readonly tensor?: string;
  /** the nearest name that does exist */
  readonly nearest?: string;
  /** what a file that is no safetensors file seems to be */
  readonly looksLike?: string;
  /** what a refused pickle wanted to call, e.g. `os.system`; nothing was called */
  readonly wanted?: string;
  readonly cause?: unknown;
}

/** A file that cannot be read or written, or a request that cannot be answered; `message` ends with `remedy`. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
  readonly code: SafetensorsErrorCode;
  /** what to do now, one or two sentences */
  readonly remedy: string;
  readonly file: string | undefined;
  readonly tensor: string | undefined;
  readonly nearest: string | undefined;
  readonly looksLike: string | undefined;
  readonly wanted: string | undefined;

  constructor(code: SafetensorsErrorCode, problem: string, remedy: string, facts: SafetensorsErrorFacts = {}) {
    super(
      `${facts.file === undefined ? '' : `${facts.file}: `}${problem} ${remedy}`,
      facts.cause === undefined ? undefined : { cause: facts.cause },
    );
    this.code = code;
    this.remedy = remedy;
    this.file = facts.file;
    this.tensor = facts.tensor;
    this.nearest = facts.nearest;
    this.looksLike = facts.looksLike;
    this.wanted = facts.wanted;
  }
}
