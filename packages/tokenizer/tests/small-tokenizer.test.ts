import { describe, expect, test } from 'vitest';
import { cleanText, createTokenizer } from '@musubi/tokenizer';
import { smallTokenizer } from '../../../scripts/lib/small-tokenizer.mjs';

const captions = [
  'a red ball on green grass, soft morning light',
  'a blue ball on white sand; close-up, 35mm',
  'two cats — one red, one blue — on a chair',
  '赤いボールが芝生の上にある',
].map(cleanText);

describe('smallTokenizer', () => {
  const { tokenizerJson, tokenizerConfig } = smallTokenizer(captions);
  const tokenizer = createTokenizer({ tokenizerJson, tokenizerConfig });
  const { vocab } = tokenizerJson.model;
  const pieces = (text: string) => tokenizer.encode(text).map((id) => vocab[id]![0]);
  const decode = (text: string) => pieces(text).slice(0, -1).join('').replaceAll('▁', ' ').trim();

  test('knows every character of the captions', () => {
    for (const caption of captions) {
      expect(tokenizer.encode(caption)).not.toContain(2);
      expect(decode(caption)).toBe(caption);
    }
    expect(pieces('a red ball')).toEqual(['▁a', '▁red', '▁ball', '</s>']);
  });

  test('spells other words of the same characters', () => {
    expect(decode('tall bears')).toBe('tall bears');
    expect(pieces('sea')).toEqual(['▁', 's', 'e', 'a', '</s>']);
    expect(pieces('Q')).toEqual(['▁', '<unk>', '</s>']);
  });

  test('has the special tokens first and pieces only once', () => {
    expect(vocab.slice(0, 3).map(([piece]) => piece)).toEqual(['<pad>', '</s>', '<unk>']);
    expect(new Set(vocab.map(([piece]) => piece)).size).toBe(vocab.length);
    expect(tokenizer.vocabularySize).toBe(vocab.length);
  });

  test('is the same for the same captions and never large', () => {
    expect(smallTokenizer(captions)).toEqual({ tokenizerJson, tokenizerConfig });
    const many = Array.from({ length: 2000 }, (_, i) => `word${i} ${i % 300 === 0 ? 'often' : ''}`);
    const large = smallTokenizer(many).tokenizerJson;
    expect(large.model.vocab.length).toBe(400);
    const { encode } = createTokenizer({ tokenizerJson: large });
    expect(many.flatMap((text) => encode(text))).not.toContain(2);
  });

  test('takes no captions at all', () => {
    const nothing = smallTokenizer([]);
    expect(createTokenizer(nothing).encode('')).toEqual([1]);
  });
});
