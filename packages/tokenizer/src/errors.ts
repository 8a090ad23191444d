/** Every `code` of a {@link TokenizerError}. Stable: recognise errors by it. */
export const tokenizerErrorCodes = [
  // what the files hold
  'NOT_A_TOKENIZER',
  'UNSUPPORTED_TOKENIZER',
  'NO_END_TOKEN',
  'VOCABULARY_TOO_LARGE',
  // finding and fetching them
  'FILE_UNREADABLE',
  'TOKENIZER_NOT_FOUND',
  'DOWNLOAD_DENIED',
  'DOWNLOAD_NOT_FOUND',
  'DOWNLOAD_FAILED',
  'CACHE_NOT_WRITABLE',
] as const;

export type TokenizerErrorCode = (typeof tokenizerErrorCodes)[number];

/** What an error knows beyond its message. */
export interface TokenizerErrorFacts {
  /** File the error is about, as it was opened. */
  readonly file?: string;
  /** Folders in which a tokenizer was looked for. */
  readonly folders?: readonly string[];
  readonly url?: string;
  /** Status of the server's answer. */
  readonly status?: number;
  readonly cause?: unknown;
}

/** Something wrong with a tokenizer's files or the way to them. The message ends with the remedy. */
export class TokenizerError extends Error {
  override readonly name = 'TokenizerError';
  readonly code: TokenizerErrorCode;
  /** What to do now, in a sentence. */
  readonly remedy: string;
  readonly file?: string;
  readonly folders?: readonly string[];
  readonly url?: string;
  readonly status?: number;

  constructor(code: TokenizerErrorCode, what: string, remedy: string, facts: TokenizerErrorFacts = {}) {
    const { cause, ...fields } = facts;
    super(what + (what.endsWith('\n') ? '' : ' ') + remedy, cause === undefined ? undefined : { cause });
    this.code = code;
    this.remedy = remedy;
    Object.assign(this, fields);
  }
}
