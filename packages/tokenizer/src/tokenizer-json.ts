import { TokenizerError } from './errors.ts';

/** The part `model` of a tokenizer.json. */
export interface UnigramJson {
  readonly type: 'Unigram';
  readonly unk_id: number;
  /** Pieces with their scores; a piece's id is its place. */
  readonly vocab: readonly (readonly [piece: string, score: number])[];
  readonly byte_fallback?: boolean;
}

/** What of a tokenizer.json is read here; the rest is left to the library. */
export interface TokenizerJson {
  readonly added_tokens: readonly { readonly id: number; readonly content: string; readonly single_word?: boolean }[];
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly post_processor: object | null;
  readonly decoder: object | null;
  readonly model: UnigramJson;
}

/** @throws {TokenizerError} `NOT_A_TOKENIZER`, `UNSUPPORTED_TOKENIZER` */
export function checkTokenizerJson(json: unknown): TokenizerJson {
  const top = object(json, 'the file');
  const model = object(top['model'], 'model');
  checkUnigram(model);
  const added = top['added_tokens'] ?? [];
  if (!Array.isArray(added)) throw notATokenizer('added_tokens is not a list');
  for (const [i, token] of added.entries()) checkAddedToken(token, `added_tokens[${i}]`);
  const part = (name: string) => (top[name] === undefined || top[name] === null ? null : object(top[name], name));
  return {
    added_tokens: added,
    normalizer: part('normalizer'),
    pre_tokenizer: part('pre_tokenizer'),
    post_processor: part('post_processor'),
    decoder: part('decoder'),
    model: model as unknown as UnigramJson,
  };
}

/** A token of tokenizer_config.json, which is a string or, in older files, an object. */
export function tokenText(config: object, name: string, otherwise: string): string {
  const token = (config as Readonly<Record<string, unknown>>)[name];
  const content = typeof token === 'object' && token !== null ? (token as { content?: unknown }).content : token;
  return typeof content === 'string' ? content : otherwise;
}

function checkUnigram(model: Record<string, unknown>): void {
  const { type, vocab, unk_id: unknown } = model;
  // Old files do not name the type: then a list of pairs is what makes it Unigram.
  if (type !== 'Unigram' && !(type === undefined && Array.isArray(vocab))) {
    throw unsupported(`its model is ${JSON.stringify(type)}, not "Unigram"`);
  }
  if (!Array.isArray(vocab) || vocab.length === 0) throw notATokenizer('model.vocab is not a list of pieces');
  const wrong = vocab.findIndex((entry) => !isPiece(entry));
  if (wrong >= 0) throw notATokenizer(`model.vocab[${wrong}] is not a piece and a score`);
  if (!Number.isInteger(unknown) || (unknown as number) < 0 || (unknown as number) >= vocab.length) {
    throw notATokenizer(`model.unk_id is ${JSON.stringify(unknown)}, with ${vocab.length} pieces`);
  }
}

function isPiece(entry: unknown): boolean {
  return Array.isArray(entry) && typeof entry[0] === 'string' && Number.isFinite(entry[1]);
}

function checkAddedToken(token: unknown, where: string): void {
  const { id, content, single_word: singleWord } = object(token, where);
  if (!Number.isInteger(id) || (id as number) < 0 || typeof content !== 'string' || content === '') {
    throw notATokenizer(`${where} has no id or no content`);
  }
  if (singleWord === true) throw unsupported(`${where} matches single words only`);
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw notATokenizer(`${what} is not an object`);
}

function notATokenizer(what: string): TokenizerError {
  return new TokenizerError(
    'NOT_A_TOKENIZER',
    `This is not a tokenizer.json: ${what}.`,
    'Take tokenizer.json from the repository of the text encoder.',
  );
}

function unsupported(what: string): TokenizerError {
  return new TokenizerError(
    'UNSUPPORTED_TOKENIZER',
    `This tokenizer.json is of a kind that is not supported: ${what}.`,
    'Give the tokenizer of the text encoder; for Wan that is google/umt5-xxl.',
  );
}
