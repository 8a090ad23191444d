import { inspect } from 'node:util';

/** Exit codes: 1 the run failed, 2 the command line or a configuration is wrong, 130 stopped by Ctrl-C. */
export type ExitCode = 0 | 1 | 2 | 130;

/**
 * What to print of an error, and the exit code.
 *
 * Errors of our packages have a `code` and a `remedy`: their message is all a user needs. Errors of the operating system are
 * shown with their path. Everything else is a fault in the program.
 */
export function reportError(
  error: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): { text: string; exitCode: ExitCode } {
  const debug = environment['MUSUBI_DEBUG'] === '1' ? `\n${inspect(error)}\n` : '';
  if (isOurs(error)) {
    const lines = problemLines(error);
    const text =
      lines.length === 1
        ? `error: ${lines[0]}`
        : [`error: ${lines.length} problems`, ...lines.map((line) => `  ${line}`)].join('\n');
    return { text: `${text}\n${debug}`, exitCode: isConfiguration(error) ? 2 : 1 };
  }
  if (isSystemError(error)) {
    return {
      text: `error: ${error.message}. ${systemRemedies[error.code] ?? 'Mend this and run again.'}\n${debug}`,
      exitCode: 1,
    };
  }
  const shown = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    text: `internal: ${shown.replace(/^Error: (internal: )?/, '')}\nThis is a fault in musubi, not in your configuration. Please report it at ${issues} with the command and the configuration; MUSUBI_DEBUG=1 shows where it happened.\n${debug}`,
    exitCode: 1,
  };
}

const issues = 'https://github.com/musubi-ts/musubi-ts/issues';

interface OurError extends Error {
  readonly code: string;
  readonly remedy: string;
}

function isOurs(error: unknown): error is OurError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    'remedy' in error &&
    typeof error.remedy === 'string'
  );
}

function problemLines(error: OurError): string[] {
  const problems: unknown = 'problems' in error ? error.problems : undefined;
  if (!Array.isArray(problems) || problems.length < 2) return [error.message.trimEnd()];
  return error.message.split('\n');
}

/** Errors about what the user wrote in options or in the dataset configuration: all codes of a class, or some. */
const configurationErrors: Readonly<Record<string, 'all' | readonly string[]>> = {
  ConfigError: 'all',
  SamplerError: 'all',
  ScheduleError: 'all',
  OptimizerError: 'all',
  Fp8Error: [
    'UNKNOWN_FORMAT',
    'UNKNOWN_MODE',
    'UNKNOWN_ARCHITECTURE',
    'BLOCK_SIZE_INVALID',
    'WORKERS_INVALID',
    'NOTHING_MATCHES',
    'SAME_FILE',
  ],
  TrainerError: ['OPTION_CONFLICT'],
  CliError: ['USAGE'],
  WandbError: ['WANDB_KEY', 'WANDB_SPOOL'],
  ModelError: ['UNKNOWN_TASK', 'TASK_MISMATCH', 'BAD_MODEL_CONFIG', 'HEADS_UNKNOWN'],
  LoraError: [
    'PATTERN_INVALID',
    'PATTERN_UNSUPPORTED',
    'EMPTY_SELECTION',
    'RANK_INVALID',
    'ALPHA_INVALID',
    'RANK_MISMATCH',
    'ALPHA_MISMATCH',
    'METADATA_RESOLUTION',
    'DROPOUT_SHARE',
    'FACTOR_INVALID',
    'KIND_MISMATCH',
    'LORAPLUS_RATIO',
    'NORM_LIMIT',
    'AVERAGE_OPTION',
    'MULTIPLIER_INVALID',
    'OUTPUT_IS_INPUT',
  ],
  DatasetError: [
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
    'CAPTION_EXTENSION_MISSING',
    'VIDEO_CACHING_UNSUPPORTED',
  ],
};

/** A file that an option names and that does not fit another option counts by what is behind it. */
function isConfiguration({ name, code, cause }: OurError): boolean {
  const codes = configurationErrors[name];
  if (codes === 'all' || codes?.includes(code)) return true;
  return code === 'FILE_UNUSABLE' && isOurs(cause) && isConfiguration(cause);
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

const systemRemedies: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path; relative paths start at the current folder.',
  EACCES: 'Give this user access to it.',
  EPERM: 'Give this user access to it, and close programs that use it.',
  ENOSPC: 'Make room on the disk.',
  EMFILE: 'Allow more open files (ulimit -n).',
};
