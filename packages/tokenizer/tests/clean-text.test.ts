import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { cleanText, fixText } from '@musubi/tokenizer';

interface Fixture {
  readonly cases: readonly { readonly text: string; readonly clean: string }[];
}

const file = new URL('fixtures/clean-text.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as Fixture;

describe('cleanText', () => {
  test('equals ftfy 6.3.1 and html.unescape on texts of many kinds', () => {
    const different = cases.filter(({ text, clean }) => cleanText(text) !== clean);
    expect(different.map(({ text, clean }) => ({ text, clean, ours: cleanText(text) }))).toEqual([]);
    expect(cases.length).toBeGreaterThanOrEqual(500);
    expect(cases.filter(({ text, clean }) => text !== clean).length).toBeGreaterThan(300);
  });

  test('gives clean text back unchanged', () => {
    for (const text of ['a cat, 35mm', 'café “déjà vu”', '猫が椅子に座っている', '']) {
      const once = cleanText(text);
      expect(cleanText(once)).toBe(once);
    }
  });

  test.each([
    ['decodes references twice, after the repair', '&amp;amp;lt; x', '< x'],
    ['keeps references of HTML but for the two later passes', '<b> &amp;amp;amp;', '<b> &amp;'],
    ['takes a reference without its semicolon', 'Q&ampA', 'Q&A'],
    ['collapses every kind of white space', ' a\u3000\u2009b\t\n\u2028c ', 'a b c'],
    ['repairs mojibake on one line and not on another', 'schÃ¶n\nschön Ã', 'schön schön Ã'],
    ['replaces lone surrogates', 'a\ud800b', 'a\ufffdb'],
  ])('%s', (_, text, clean) => {
    expect(cleanText(text)).toBe(clean);
  });
});

describe('fixText', () => {
  test('judges at most a million characters as a whole', () => {
    // What lost a character can be repaired only where every character of the text has a byte.
    const damaged = `a${'â€�'.repeat(333_333)}`;
    expect(fixText(`${damaged}猫`)).toBe(`a${'�'.repeat(333_333)}猫`);
    expect(fixText('aâ€�猫')).toBe('aâ€�猫');
  });
});
