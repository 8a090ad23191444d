import { describe, expect, test } from 'vitest';
import { convertSentencePiece, createTokenizer, TokenizerError } from '@musubi/tokenizer';
import { huggingFaceCases, sentencePieceCases, spieceModel, tokenizerConfig, tokenizerJson } from './fixtures.ts';

describe('convertSentencePiece', () => {
  test('gives the tokenizer.json of the same model, without bytes for unknown characters', () => {
    const converted = convertSentencePiece(spieceModel, tokenizerConfig);
    expect(converted).toEqual({ ...tokenizerJson, model: { ...tokenizerJson.model, byte_fallback: false } });
  });

  test("gives Hugging Face's ids", () => {
    const { encode } = createTokenizer({ tokenizerJson: convertSentencePiece(spieceModel, tokenizerConfig) });
    const { ids } = huggingFaceCases.find(({ name }) => name === 'no byte fallback')!;
    expect(sentencePieceCases.map(({ text }) => encode(text))).toEqual(ids);
  });

  test('adds 100 extra tokens where no config says how many', () => {
    const { vocabularySize } = createTokenizer({ tokenizerJson: convertSentencePiece(spieceModel) });
    expect(vocabularySize).toBe(tokenizerJson.model.vocab.length - 4 + 100);
  });

  test('says what is wrong with a damaged file, whatever the damage', () => {
    const cut = [0, 1, 2, 3, 10, 100, 1000, spieceModel.length - 100_000, spieceModel.length - 1];
    for (const length of cut) expectOnlyTyped(spieceModel.slice(0, length));
    let random = 1;
    const draw = (below: number) => {
      random = (random * 48271) % 2147483647;
      return random % below;
    };
    for (let i = 0; i < 60; i++) {
      const damaged = spieceModel.slice();
      // The pieces come first; most of the file is the character map.
      for (let j = 0; j < 3; j++) damaged[draw(i % 2 === 0 ? 12_000 : damaged.length)] = draw(256);
      expectOnlyTyped(damaged);
    }
  });

  test.each([
    ['ends early', spieceModel.slice(0, 1000), 'the file ends early'],
    ['is empty', new Uint8Array(), 'it has no pieces'],
    ['is a zip', new TextEncoder().encode('PK\u0003\u0004 and so on'), 'This is not a SentencePiece model'],
  ])('a file that %s is no model', (_, bytes, message) => {
    expect(() => convertSentencePiece(bytes)).toThrow(message);
  });

  test('refuses a BPE model', () => {
    const piece = [10, 3, 10, 1, 97]; // pieces: { piece: "a" }
    const bpe = [18, 2, 24, 2]; // trainer_spec: { model_type: BPE }
    expect(() => convertSentencePiece(Uint8Array.from([...piece, ...bpe]))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_TOKENIZER' }),
    );
  });
});

/** A tokenizer that works, or an error of ours. */
function expectOnlyTyped(bytes: Uint8Array): void {
  try {
    createTokenizer({ tokenizerJson: convertSentencePiece(bytes, tokenizerConfig) }).encode('a ｃａｔ ﬁ ½');
  } catch (error) {
    expect(error).toBeInstanceOf(TokenizerError);
  }
}
