import { describe, expect, test } from 'vitest';
import { assertVocabularyFits, createTokenizer } from '@musubi/tokenizer';
import { huggingFaceCases, sentencePieceCases, tokenizerConfig, tokenizerJson } from './fixtures.ts';

const tokenizer = createTokenizer({ tokenizerJson, tokenizerConfig });
const texts = sentencePieceCases.map(({ text }) => text);

describe("ids equal Hugging Face's", () => {
  test.each(huggingFaceCases)('$name', ({ changes, model, ids }) => {
    const json = { ...tokenizerJson, ...changes, model: { ...tokenizerJson.model, ...model } };
    const { encode } = createTokenizer({ tokenizerJson: json, tokenizerConfig });
    const ours = texts.map((text) => ({ text, ids: encode(text) }));
    expect(ours).toEqual(texts.map((text, i) => ({ text, ids: ids[i] })));
    expect(texts.length).toBeGreaterThanOrEqual(60);
  });
});

describe("ids equal SentencePiece's", () => {
  /** Where Hugging Face's library, and so musubi-tuner, differs from SentencePiece. */
  const exceptions = {
    'a mark behind a character that is replaced: lost': ['½\u0301', '…\u0308'],
    'equal but for rounding: sums have 64 bits, not 32': ['tsooo'],
    'half-width kana with a separate sound mark, Hangul as letters: not composed': ['ﾈｺ ﾛﾎﾞｯﾄ', 'カﾞ', '각 \u1100'],
    'tokens written out in the text: they are tokens': ['</s>', 'cat</s>', '<unk>', '<extra_id_', '<0x41>'],
  };
  const parts = Object.values(exceptions).flat();
  const isException = (text: string) => parts.some((part) => text.includes(part));
  const cases = sentencePieceCases.filter(({ text, ids }) => ids.length < 512 && !isException(text));

  test('on all other texts', () => {
    const ours = cases.map(({ text }) => ({ text, ids: tokenizer.encode(text) }));
    expect(ours).toEqual(cases.map(({ text, ids }) => ({ text, ids: [...ids, 1] })));
    expect(cases.length).toBeGreaterThanOrEqual(60);
  });

  test.each(parts)('not on what holds %j', (part) => {
    for (const { text, ids } of sentencePieceCases.filter((one) => one.text.includes(part))) {
      expect(tokenizer.encode(text)).not.toEqual([...ids, 1]);
    }
    expect(texts.some((text) => text.includes(part))).toBe(true);
  });
});

describe('encode', () => {
  test('of nothing gives the end token', () => {
    expect(tokenizer.encode('')).toEqual([1]);
    expect(tokenizer.encode('   ')).toEqual([1]);
    expect(tokenizer.endToken).toEqual({ content: '</s>', id: 1 });
  });

  test('keeps 511 ids and the end token', () => {
    const long = tokenizer.encode('cat '.repeat(700));
    expect(long.length).toBe(512);
    expect(long.slice(-3)).toEqual([idOf('▁cat'), idOf('▁cat'), 1]);
    expect(tokenizer.encode('cat '.repeat(511))).toEqual([...Array.from({ length: 511 }, () => idOf('▁cat')), 1]);
  });

  test('keeps at most maxLength', () => {
    const short = createTokenizer({ tokenizerJson, tokenizerConfig, maxLength: 2 });
    expect(short.encode('cat cat cat')).toEqual([idOf('▁cat'), 1]);
    expect(createTokenizer({ tokenizerJson, maxLength: 1 }).encode('cat')).toEqual([1]);
    expect(() => createTokenizer({ tokenizerJson, maxLength: 0 })).toThrow(RangeError);
  });

  test('takes written-out tokens as tokens', () => {
    expect(tokenizer.encode('cat</s>')).toEqual([idOf('▁cat'), 1, 1]);
    expect(tokenizer.encode('<extra_id_0>')).toEqual([tokenizer.vocabularySize - 1, 1]);
  });

  test('replaces lone surrogates, which no file can hold', () => {
    expect(tokenizer.encode('a\ud800')).toEqual(tokenizer.encode('a\ufffd'));
  });
});

describe('assertVocabularyFits', () => {
  test('wants an embedding for every id, added tokens included', () => {
    expect(tokenizer.vocabularySize).toBe(tokenizerJson.model.vocab.length);
    assertVocabularyFits(tokenizer, tokenizer.vocabularySize);
    expect(() => assertVocabularyFits(tokenizer, tokenizer.vocabularySize - 1)).toThrow(
      expect.objectContaining({ code: 'VOCABULARY_TOO_LARGE' }),
    );
    const added = { ...tokenizerJson, added_tokens: [{ id: 5000, content: '<new>', special: true }] };
    expect(createTokenizer({ tokenizerJson: added }).vocabularySize).toBe(5001);
  });
});

describe('what is no tokenizer', () => {
  const { model } = tokenizerJson;
  test.each([
    ['null', null, 'NOT_A_TOKENIZER'],
    ['a list', [], 'NOT_A_TOKENIZER'],
    ['a safetensors index', { metadata: {}, weight_map: {} }, 'NOT_A_TOKENIZER'],
    ['no pieces', { ...tokenizerJson, model: { ...model, vocab: [] } }, 'NOT_A_TOKENIZER'],
    ['a piece without a score', { ...tokenizerJson, model: { ...model, vocab: [['a']] } }, 'NOT_A_TOKENIZER'],
    ['an unknown piece out of range', { ...tokenizerJson, model: { ...model, unk_id: 1e6 } }, 'NOT_A_TOKENIZER'],
    ['an added token without id', { ...tokenizerJson, added_tokens: [{ content: 'a' }] }, 'NOT_A_TOKENIZER'],
    ['a damaged character map', withCharsmap('AAAA////'), 'NOT_A_TOKENIZER'],
    ['a character map that is not base64', withCharsmap('*'), 'NOT_A_TOKENIZER'],
    ['BPE', { ...tokenizerJson, model: { type: 'BPE', vocab: {}, merges: [] } }, 'UNSUPPORTED_TOKENIZER'],
    ['an unknown normalizer', { ...tokenizerJson, normalizer: { type: 'Magic' } }, 'UNSUPPORTED_TOKENIZER'],
    [
      'a template that is none',
      { ...tokenizerJson, post_processor: { type: 'TemplateProcessing', single: [null] } },
      'UNSUPPORTED_TOKENIZER',
    ],
    ['nothing that adds the end token', { ...tokenizerJson, post_processor: null }, 'NO_END_TOKEN'],
  ])('%s', (_, json, code) => {
    expect(() => createTokenizer({ tokenizerJson: json, tokenizerConfig })).toThrow(
      expect.objectContaining({ name: 'TokenizerError', code }),
    );
  });

  test('an end token that it does not know', () => {
    expect(() => createTokenizer({ tokenizerJson, tokenizerConfig: { eos_token: '<|end|>' } })).toThrow(
      'The tokenizer has no end token "<|end|>".',
    );
  });
});

function idOf(piece: string): number {
  return tokenizerJson.model.vocab.findIndex(([known]) => known === piece);
}

function withCharsmap(charsmap: string): object {
  return { ...tokenizerJson, normalizer: { type: 'Precompiled', precompiled_charsmap: charsmap } };
}
