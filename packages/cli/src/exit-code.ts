/** Exit codes: 1 the run failed, 2 what it was given is wrong, 130 stopped by Ctrl-C. */
export type ExitCode = 0 | 1 | 2 | 130;

/** What exit codes are decided by, of an error of ours. */
export interface CodedError {
  readonly name: string;
  readonly code: string;
  /** Of a `FILE_UNUSABLE`, what is wrong with the file. */
  readonly cause?: unknown;
}

/**
 * The exit code of an error of our packages.
 *
 * 2: something that was given has to change before the command can do its work. That is an option, a configuration, a
 * device, or a file or folder that one of them names: missing, damaged, of another kind, at odds with another, or not to
 * be read or written. Wrong checkpoints, adapters and tokenizers count here too.
 *
 * 1: the same command could have worked. It had begun and failed, of what it worked on a part was bad (caches are read while
 * training), or the machine let it down: ONNX Runtime, memory, disk, network.
 */
export function exitCodeOf(error: CodedError): 1 | 2 {
  if (error.code === 'FILE_UNUSABLE') return isCoded(error.cause) ? exitCodeOf(error.cause) : 2;
  const failures = failuresOf[error.name];
  if (failures) return failures.includes(error.code) ? 1 : 2;
  return mistakesOf[error.name]?.includes(error.code) ? 2 : 1;
}

/** Classes of errors about what was given, with the codes that mean 1 all the same. */
const failuresOf: Readonly<Record<string, readonly string[]>> = {
  ConfigError: [],
  SamplerError: [],
  ScheduleError: [],
  OptimizerError: ['BAD_PARAMETERS', 'BAD_GRADIENT', 'EVAL_MODE', 'WRONG_STATE'],
  CliError: ['RUNTIME_MISSING', 'RUNTIME_UNSUPPORTED', 'PNG_UNAVAILABLE', 'FIX_FAILED'],
  SafetensorsError: ['TENSOR_NOT_FOUND', 'NAME_RESERVED', 'CONVERSION_UNSUPPORTED', 'WRITE_FAILED', 'FILE_IN_USE'],
  ModelError: ['BAD_BATCH'],
  LoraError: ['SHA256_UNAVAILABLE'],
  Fp8Error: ['HOOK_RESULT', 'WRITE_FAILED', 'INTERNAL'],
  TokenizerError: ['DOWNLOAD_DENIED', 'DOWNLOAD_NOT_FOUND', 'DOWNLOAD_FAILED', 'CACHE_NOT_WRITABLE'],
  DatasetError: [
    'DECODER_FAILED',
    'CACHE_UNREADABLE',
    'CACHE_NOT_FINITE',
    'CACHE_DUPLICATE_CONTENT',
    'BATCH_MIXED_SHAPES',
    'BATCH_MIXED_DTYPES',
  ],
  // Logs are opened before the first step; one that fails later ends nothing.
  TrackingError: [],
};

/** Classes of errors of the run itself, with the codes that mean 2 all the same. Classes in neither table mean 1. */
const mistakesOf: Readonly<Record<string, readonly string[]>> = {
  TrainerError: ['OPTION_CONFLICT', 'OUTPUT_UNWRITABLE'],
  RuntimeError: ['PROVIDER_UNAVAILABLE'],
  WandbError: ['WANDB_KEY', 'WANDB_SPOOL'],
};

function isCoded(error: unknown): error is CodedError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
