/** Stable codes of {@link ConfigError}; `CONFIG_PROBLEMS` stands for several problems at once. */
export type ConfigErrorCode =
  | 'ARGUMENT_SYNTAX'
  | 'BAD_CHOICE'
  | 'BAD_COMBINATION'
  | 'BAD_KEY_VALUE'
  | 'BAD_LITERAL'
  | 'BAD_VALUE'
  | 'CONFIG_FILE_NOT_FOUND'
  | 'CONFIG_FILE_UNREADABLE'
  | 'CONFIG_PROBLEMS'
  | 'DUPLICATE_KEY'
  | 'MISSING_OPTION'
  | 'NOT_IN_THIS_RELEASE'
  | 'TOML_SYNTAX'
  | 'UNKNOWN_COMMAND'
  | 'UNKNOWN_OPTION'
  | 'WRONG_TYPE';

/** One mistake in a command line or a configuration file, with everything needed to mend it. */
export interface ConfigProblem {
  readonly code: ConfigErrorCode;
  /** What is wrong, where, what was found and what was expected. */
  readonly text: string;
  /** What to do now, a sentence. */
  readonly remedy: string;
  /** Option or key as the user wrote it, without leading dashes. */
  readonly option?: string;
  /** Value as the user wrote it. */
  readonly value?: string;
  readonly file?: string;
  /** Section of the TOML file, null at top level. */
  readonly section?: string | null;
  /** Line in `file`, from 1. */
  readonly line?: number;
  /** The known name closest to what was written. */
  readonly nearest?: string;
}

/**
 * Every mistake found in a command line and its configuration file, reported together.
 *
 * With one problem the fields repeat it; with several `code` is `CONFIG_PROBLEMS` and the other fields are those of the
 * first. `problems` always holds all of them.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code: ConfigErrorCode;
  readonly problems: readonly ConfigProblem[];
  readonly remedy: string;
  readonly option: string | undefined;
  readonly value: string | undefined;
  readonly file: string | undefined;
  readonly section: string | null | undefined;
  readonly line: number | undefined;
  readonly nearest: string | undefined;

  constructor(problems: readonly [ConfigProblem, ...ConfigProblem[]], options?: { cause?: unknown }) {
    super(problems.map(sentence).join('\n'), options);
    const [first] = problems;
    this.code = problems.length === 1 ? first.code : 'CONFIG_PROBLEMS';
    this.problems = problems;
    this.remedy = first.remedy;
    this.option = first.option;
    this.value = first.value;
    this.file = first.file;
    this.section = first.section;
    this.line = first.line;
    this.nearest = first.nearest;
  }
}

/** Throws one {@link ConfigError} for all problems, or returns when there are none. */
export function throwIfAny(problems: readonly ConfigProblem[]): void {
  const [first, ...rest] = problems;
  if (first) throw new ConfigError([first, ...rest]);
}

function sentence({ text, remedy }: ConfigProblem): string {
  return text.endsWith('\n') ? text + remedy : `${text} ${remedy}`;
}
