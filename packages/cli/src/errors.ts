/** The command line cannot do its work on this machine, or was not given what it needs. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code:
    | 'RUNTIME_MISSING'
    | 'RUNTIME_UNSUPPORTED'
    | 'USAGE'
    | 'PNG_UNAVAILABLE'
    | 'FIX_FAILED'
    | 'FILE_UNUSABLE';
  readonly remedy: string;

  constructor(code: CliError['code'], found: string, remedy: string, options?: { cause?: unknown }) {
    super(`${found} ${remedy}`, options);
    this.code = code;
    this.remedy = remedy;
  }
}
