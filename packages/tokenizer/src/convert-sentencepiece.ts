import { tokenText } from './tokenizer-json.ts';
import { parseSentencePieceModel } from './sentencepiece-model.ts';

/**
 * A tokenizer.json of a T5 model's `spiece.model`, as transformers 4.57 makes one where a repository has none.
 *
 * Like there, bytes never stand for characters that are no pieces, whatever the model says: those become `<unk>`.
 *
 * @param bytes content of spiece.model
 * @param tokenizerConfig content of tokenizer_config.json: `extra_ids` (default 100), `eos_token`, `pad_token`,
 *   `unk_token`, `legacy`
 * @throws {TokenizerError} `NOT_A_TOKENIZER`, `UNSUPPORTED_TOKENIZER`
 */
export function convertSentencePiece(bytes: Uint8Array, tokenizerConfig: unknown = {}): object {
  const { pieces, unknownId, charsmap } = parseSentencePieceModel(bytes);
  const config = (tokenizerConfig ?? {}) as { readonly [name: string]: unknown };
  const end = tokenText(config, 'eos_token', '</s>');
  const named = new Set([end, tokenText(config, 'pad_token', '<pad>'), tokenText(config, 'unk_token', '<unk>')]);
  const extra = extraTokens(config['extra_ids']);
  const vocab = [
    ...pieces.map(({ piece, score }) => [piece, score] as const),
    ...extra.map((token) => [token, 0] as const),
  ];
  const added = [
    ...pieces.flatMap(({ piece, type }, id) => {
      const isSpecial = type === 'control' || named.has(piece);
      return isSpecial || type === 'user defined' ? [addedToken(id, piece, isSpecial)] : [];
    }),
    ...extra.map((token, i) => addedToken(pieces.length + i, token, true)),
  ];
  const endId = vocab.findIndex(([piece]) => piece === end);
  const metaspace = {
    type: 'Metaspace',
    replacement: '▁',
    prepend_scheme: config['legacy'] === false ? 'first' : 'always',
    split: true,
  };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        ...(charsmap.length > 0 ? [{ type: 'Precompiled', precompiled_charsmap: toBase64(charsmap) }] : []),
        { type: 'Strip', strip_left: false, strip_right: true },
        { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' },
      ],
    },
    pre_tokenizer: metaspace,
    post_processor: endWith(end, endId),
    decoder: metaspace,
    model: { type: 'Unigram', unk_id: unknownId, vocab, byte_fallback: false },
  };
}

/** `<extra_id_0>` has the largest id. */
function extraTokens(count: unknown): string[] {
  const tokens =
    Number.isInteger(count) && (count as number) >= 0 && (count as number) <= 10_000 ? (count as number) : 100;
  return Array.from({ length: tokens }, (_, i) => `<extra_id_${tokens - 1 - i}>`);
}

function addedToken(id: number, content: string, special: boolean): object {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}

function endWith(end: string, id: number): object {
  const a = { Sequence: { id: 'A', type_id: 0 } };
  const b = { Sequence: { id: 'B', type_id: 0 } };
  const token = { SpecialToken: { id: end, type_id: 0 } };
  return {
    type: 'TemplateProcessing',
    single: [a, token],
    pair: [a, token, b, token],
    special_tokens: { [end]: { id: end, ids: [id], tokens: [end] } },
  };
}

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]!);
  return btoa(text);
}
