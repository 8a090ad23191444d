/** Every `code` of a {@link DatasetError}. Stable: recognise errors by it. */
export const datasetErrorCodes = [
  // configuration
  'UNSUPPORTED_CONFIG_FORMAT',
  'TOML_SYNTAX',
  'JSON_SYNTAX',
  'CONFIG_INVALID',
  'UNKNOWN_ARCHITECTURE',
  'NO_DATASETS',
  'NO_SOURCE',
  'VIDEO_DATASET_UNSUPPORTED_FOR_ARCHITECTURE',
  'EMPTY_TARGET_FRAMES',
  'DUPLICATE_CACHE_DIRECTORY',
  'CACHE_DIRECTORY_MISSING',
  'OPTION_OUT_OF_RANGE',
  // sources: pictures, videos and what belongs to them
  'FILE_NOT_FOUND',
  'FILE_UNREADABLE',
  'JSONL_SYNTAX',
  'MULTIPLE_TARGET_COUNT_MISMATCH',
  'MULTIPLE_TARGET_MISSING',
  'MISSING_CONTROL_IMAGES',
  'NOT_ENOUGH_CONTROL_IMAGES',
  'INVALID_DIGITS_SUFFIX',
  'NO_IMAGES',
  'CAPTION_EXTENSION_MISSING',
  'CAPTION_MISSING',
  'PICTURE_UNREADABLE',
  'PICTURE_TOO_SMALL',
  'VIDEO_CACHING_UNSUPPORTED',
  'DUPLICATE_CACHE_FILE',
  'DECODER_FAILED',
  // caches
  'CACHE_NAME',
  'CACHE_UNREADABLE',
  'CACHE_NOT_FINITE',
  'CACHE_DUPLICATE_CONTENT',
  'BATCH_MIXED_SHAPES',
  'BATCH_MIXED_DTYPES',
  'NO_TRAINING_ITEMS',
] as const;

export type DatasetErrorCode = (typeof datasetErrorCodes)[number];

/** One thing wrong with a dataset configuration. */
export interface ConfigIssue {
  /** Where, e.g. `['datasets', 0, 'batch_size']`. */
  readonly path: readonly (string | number)[];
  readonly kind:
    | 'unknown_key'
    | 'expected_int'
    | 'expected_float'
    | 'expected_bool'
    | 'expected_str'
    | 'expected_list'
    | 'expected_dict';
  readonly message: string;
  /** In the file, from 1, where it can be told. */
  readonly line?: number;
  /** The allowed name nearest to an unknown key. */
  readonly nearest?: string;
}

/** What an error knows beyond its message. */
export interface DatasetErrorFacts {
  /** File the error is about, as it was opened. */
  readonly file?: string;
  /** Name of a tensor in `file`. */
  readonly key?: string;
  readonly folders?: readonly string[];
  readonly option?: string;
  readonly value?: unknown;
  readonly issues?: readonly ConfigIssue[];
  readonly cause?: unknown;
}

/** A mistake in a dataset configuration, its folders or its cache files. The message ends with the remedy. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';
  readonly code: DatasetErrorCode;
  /** What to do now, in a sentence. */
  readonly remedy: string;
  readonly file?: string;
  readonly key?: string;
  readonly folders?: readonly string[];
  readonly option?: string;
  readonly value?: unknown;
  readonly issues?: readonly ConfigIssue[];

  constructor(code: DatasetErrorCode, what: string, remedy: string, facts: DatasetErrorFacts = {}) {
    const { cause, ...fields } = facts;
    super(what + (what.endsWith('\n') ? '' : ' ') + remedy, cause === undefined ? undefined : { cause });
    this.code = code;
    this.remedy = remedy;
    Object.assign(this, fields);
  }
}

/** Something a user should know although it stops nothing. */
export interface DatasetWarning {
  readonly code:
    | 'DEPRECATED_KEY'
    | 'DEPRECATED_KEY_IGNORED'
    | 'TARGET_FRAMES_ROUNDED'
    | 'UNIFORM_WITH_ONE_SAMPLE_BECOMES_HEAD'
    | 'TEXT_CACHE_MISSING'
    | 'DATASET_EMPTY'
    | 'CONTENT_MISSING_IN_ITEM'
    | 'CAPTION_MISSING'
    | 'DUPLICATE_INPUT';
  readonly message: string;
}

export type Warn = (warning: DatasetWarning) => void;

/** Gets the errors of steps that others can do without, so that all mistakes are found at once. */
export type OnProblem = (error: DatasetError) => void;

/**
 * The result of a step, or null where it failed and there is somebody to tell.
 *
 * @throws what the step throws, when nobody is told of it
 */
export async function attempt<T>(onProblem: OnProblem | undefined, step: () => T | Promise<T>): Promise<T | null> {
  try {
    return await step();
  } catch (error) {
    if (!onProblem || !(error instanceof DatasetError)) throw error;
    onProblem(error);
    return null;
  }
}
