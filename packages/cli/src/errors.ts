/** The command line cannot do its work on this machine. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: 'RUNTIME_MISSING' | 'RUNTIME_UNSUPPORTED';
  readonly remedy: string;

  constructor(code: CliError['code'], found: string, remedy: string, options?: { cause?: unknown }) {
    super(`${found} ${remedy}`, options);
    this.code = code;
    this.remedy = remedy;
  }
}
