import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { TokenizerError } from './errors.ts';
import { withCharsmap } from './normalizer.ts';
import { withWords } from './pre-tokenizer.ts';
import { checkTokenizerJson, tokenText, type TokenizerJson } from './tokenizer-json.ts';
import { UnigramModel } from './unigram.ts';

export interface CreateTokenizerOptions {
  /** Content of tokenizer.json. */
  readonly tokenizerJson: unknown;
  /** Content of tokenizer_config.json: only `eos_token` is read, by default `</s>`. */
  readonly tokenizerConfig?: unknown;
  /** Most ids of a text, the end token among them. Default 512, what Wan's text encoder takes. */
  readonly maxLength?: number;
}

/** Texts to ids. */
export interface Tokenizer {
  /**
   * Ids of a text as it stands (`cleanText` is the caller's step), the end token last, at most `maxLength`, not padded.
   * Special tokens that are written out in the text, such as `</s>`, become their id, as with musubi-tuner.
   */
  encode(text: string): number[];
  readonly endToken: { readonly content: string; readonly id: number };
  readonly maxLength: number;
  /** Rows that an embedding table needs: one more than the largest id. */
  readonly vocabularySize: number;
}

/**
 * The tokenizer of a T5-like text encoder, equal to Hugging Face's fast tokenizer on the same files.
 *
 * @throws {TokenizerError} `NOT_A_TOKENIZER`, `UNSUPPORTED_TOKENIZER` (a model that is not Unigram), `NO_END_TOKEN`
 */
export function createTokenizer(options: CreateTokenizerOptions): Tokenizer {
  const { maxLength = 512 } = options;
  if (!Number.isInteger(maxLength) || maxLength < 1) throw new RangeError(`maxLength is ${maxLength}, not a count.`);
  const json = checkTokenizerJson(options.tokenizerJson);
  const library = createLibraryTokenizer(json);
  const endToken = findEndToken(library, json, options.tokenizerConfig);
  return {
    encode(text) {
      const { ids } = library.encode(text.replace(/\p{Surrogate}/gu, '\ufffd'));
      return ids.length <= maxLength ? ids : [...ids.slice(0, maxLength - 1), endToken.id];
    },
    endToken,
    maxLength,
    vocabularySize: json.added_tokens.reduce((size, { id }) => Math.max(size, id + 1), json.model.vocab.length),
  };
}

/**
 * Checks that a text encoder has an embedding for every id of a tokenizer.
 *
 * @param rows rows of the embedding table, 256384 for UMT5-XXL; it may have more than there are ids
 * @throws {TokenizerError} `VOCABULARY_TOO_LARGE`
 */
export function assertVocabularyFits(tokenizer: Tokenizer, rows: number): void {
  if (tokenizer.vocabularySize <= rows) return;
  throw new TokenizerError(
    'VOCABULARY_TOO_LARGE',
    `The tokenizer has ${tokenizer.vocabularySize} ids, the text encoder only ${rows} embeddings.`,
    'Give the tokenizer that belongs to the text encoder; for Wan that is google/umt5-xxl.',
  );
}

/** The library's pipeline, in which character map, words and model are our own: its approximations give other ids. */
function createLibraryTokenizer(json: TokenizerJson): LibraryTokenizer {
  const { model } = json;
  const placeholder = { type: 'Unigram', unk_id: 0, vocab: [[model.vocab[model.unk_id]![0], 0]] };
  try {
    const library = new LibraryTokenizer({ ...json, model: placeholder }, {});
    library.normalizer = withCharsmap(library.normalizer);
    library.pre_tokenizer = withWords(library.pre_tokenizer, json.pre_tokenizer);
    library.model = new UnigramModel(model);
    // some parts are looked at only when they are used
    library.encode('');
    return library;
  } catch (cause) {
    if (cause instanceof TokenizerError) throw cause;
    throw new TokenizerError(
      'UNSUPPORTED_TOKENIZER',
      `This tokenizer.json cannot be used: ${cause instanceof Error ? cause.message : String(cause)}.`,
      'Give the tokenizer of the text encoder; for Wan that is google/umt5-xxl.',
      { cause },
    );
  }
}

function findEndToken(library: LibraryTokenizer, json: TokenizerJson, config: unknown): Tokenizer['endToken'] {
  const content = tokenText((config ?? {}) as object, 'eos_token', '</s>');
  const id = json.added_tokens.find((token) => token.content === content)?.id ?? library.token_to_id(content);
  const remedy = 'Take tokenizer.json and tokenizer_config.json from the same repository.';
  if (id === undefined) {
    throw new TokenizerError('NO_END_TOKEN', `The tokenizer has no end token ${JSON.stringify(content)}.`, remedy);
  }
  const ofNothing = library.encode('').ids;
  if (ofNothing.length !== 1 || ofNothing[0] !== id) {
    throw new TokenizerError(
      'NO_END_TOKEN',
      `The tokenizer makes [${ofNothing.join(', ')}] of an empty text instead of the end token ${content} (${id}) alone.`,
      remedy,
    );
  }
  return { content, id };
}
