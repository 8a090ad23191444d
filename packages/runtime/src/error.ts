/** Stable codes of {@link RuntimeError}. */
export const runtimeErrorCodes = [
  'ENGINE_MISSING',
  'ENGINE_UNSUPPORTED_PLATFORM',
  'ENGINE_LOAD_FAILED',
  'PROVIDER_UNAVAILABLE',
  'BAD_OPTION',
  'INVALID_MODEL',
  'OPERATOR_UNSUPPORTED',
  'EXTERNAL_FILE_MISSING',
  'EXTERNAL_FILE_TOO_SHORT',
  'EXTERNAL_FILE_REFUSED',
  'CREATE_FAILED',
  'BAD_TENSOR',
  'DTYPE_UNSUPPORTED',
  'DTYPE_MISMATCH',
  'SHAPE_MISMATCH',
  'UNKNOWN_INPUT',
  'MISSING_INPUT',
  'UNKNOWN_OUTPUT',
  'NOTHING_STAYS_ON_DEVICE',
  'RUN_FAILED',
  'OUT_OF_MEMORY',
  'SESSION_RELEASED',
  'TENSOR_RELEASED',
  'RUNTIME_CLOSED',
  'WORKER_CRASHED',
  'INTERNAL',
] as const;

export type RuntimeErrorCode = (typeof runtimeErrorCodes)[number];

/** What an error is about, where it is known. */
export interface RuntimeErrorFacts {
  /** Label of the session, as given in its request. */
  readonly label?: string | undefined;
  /** Name of the graph node that failed, e.g. `blocks.3/ffn/MatMul_1`. */
  readonly node?: string | undefined;
  readonly operator?: string | undefined;
  /** Name of the input, output or weight concerned. */
  readonly tensor?: string | undefined;
  readonly path?: string | undefined;
  /** Size of the allocation that failed. */
  readonly bytes?: number | undefined;
}

/** Anything that goes wrong with an engine, a session or a run. Recognise it by `code`. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RuntimeErrorCode;
  readonly found: string;
  readonly remedy: string;
  declare readonly label?: string;
  declare readonly node?: string;
  declare readonly operator?: string;
  declare readonly tensor?: string;
  declare readonly path?: string;
  declare readonly bytes?: number;

  /** @param found what was found and what was expected, a sentence; `remedy` what to do now, a sentence */
  constructor(
    code: RuntimeErrorCode,
    found: string,
    remedy: string,
    facts: RuntimeErrorFacts = {},
    options?: { cause?: unknown },
  ) {
    super(`${facts.label ? `${facts.label}: ` : ''}${found} ${remedy}`, options);
    this.code = code;
    this.found = found;
    this.remedy = remedy;
    // what is not known is not printed either
    Object.assign(this, Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)));
  }
}

/** A RuntimeError of any copy of this package. */
export function isRuntimeError(error: unknown): error is RuntimeError {
  return error instanceof Error && error.name === 'RuntimeError' && 'code' in error && 'remedy' in error;
}
