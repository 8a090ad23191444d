import { describe, expect, test } from 'vitest';
import { compilePattern } from './index.ts';

describe('compilePattern', () => {
  test.each([
    ['.*cross_attn.*', 'blocks.0.cross_attn.q', true],
    ['cross_attn', 'blocks.0.cross_attn.q', false],
    ['a|b', 'ab', false],
    ['a|bc', 'bc', true],
    ['blocks\\.\\d{,2}\\.q', 'blocks.12.q', true],
    ['blocks\\.\\d{,2}\\.q', 'blocks.123.q', false],
    ['(?P<part>q|k)\\.(?P=part)', 'k.k', true],
    ['(?P<part>q|k)\\.(?P=part)', 'q.k', false],
    ['\\Ablocks.*\\Z', 'blocks.1', true],
    ['a(?#remark)b', 'ab', true],
    ['(?i)BLOCKS\\.0', 'blocks.0', true],
    ['(?is)A.B', 'a\nb', true],
    ['[]x]+', ']x', true],
    ['[^]x]+', 'ab', true],
    ['[^]x]+', ']', false],
    ['[\\w.]+', 'blocks.0', true],
    ['[+*?]+', '*+?', true],
    ['a\\++', 'a++', true],
    ['(?=blocks)(?!.*k$).*', 'blocks.0.q', true],
    ['(?<=x)y|xy', 'xy', true],
    ['\\x61\\U00000062\\a', 'ab\x07', true],
    ['\\U0001F600', '\u{1f600}', true],
    ['a\\-b\\_c', 'a-b_c', true],
    ['.*?', '', true],
  ])('%s on %s: %s', (pattern, text, matches) => {
    expect(compilePattern(pattern).test(text)).toBe(matches);
  });

  test.each([
    ['(', 'PATTERN_INVALID'],
    ['[', 'PATTERN_INVALID'],
    ['a**', 'PATTERN_INVALID'],
    ['\\q', 'PATTERN_INVALID'],
    ['[\\A]', 'PATTERN_INVALID'],
    ['a\\', 'PATTERN_INVALID'],
    ['(?>a)', 'PATTERN_UNSUPPORTED'],
    ['a++', 'PATTERN_UNSUPPORTED'],
    ['a{1,2}+', 'PATTERN_UNSUPPORTED'],
    ['(a)?(?(1)b|c)', 'PATTERN_UNSUPPORTED'],
    ['(?x) a b', 'PATTERN_UNSUPPORTED'],
    ['a(?i:B)', 'PATTERN_UNSUPPORTED'],
    ['\\N{DIGIT ONE}', 'PATTERN_UNSUPPORTED'],
  ])('refuses %s', (pattern, code) => {
    expect(() => compilePattern(pattern)).toThrow(expect.objectContaining({ name: 'LoraError', code, found: pattern }));
  });

  test('says what JavaScript cannot do', () => {
    expect(() => compilePattern('.*+', 'include_patterns')).toThrowErrorMatchingInlineSnapshot(
      `[LoraError: include_patterns: ".*+" has a possessive quantifier. Write the pattern without it.]`,
    );
  });
});
