import { LoraError } from './errors.ts';

/**
 * A Python regular expression as a JavaScript one that has to match the whole text, as `re.fullmatch`; with `anywhere`
 * a part of it, as `re.search`.
 *
 * Named groups, `\A`, `\Z`, comments, `{,n}`, `[]x]`, `\a`, `\U…` and global flags at the start are converted. What
 * JavaScript cannot do (atomic groups, possessive quantifiers, conditionals, `\N{…}`, verbose mode, flags of one group)
 * is refused rather than read as something else.
 *
 * @throws {LoraError} `PATTERN_INVALID`, `PATTERN_UNSUPPORTED`
 */
export function compilePattern(
  pattern: string,
  option = 'exclude_patterns',
  { anywhere = false }: { readonly anywhere?: boolean } = {},
): RegExp {
  const { source, flags } = convert(pattern, option);
  try {
    return new RegExp(anywhere ? source : `^(?:${source})$`, flags);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LoraError(
      'PATTERN_INVALID',
      `${option}: "${pattern}" is not a regular expression (${why}).`,
      'Write a Python regular expression that matches whole module paths, e.g. ".*cross_attn.*".',
      { option, found: pattern, cause },
    );
  }
}

interface Conversion {
  /** tried at each place of the pattern, so it starts with no anchor but is sticky */
  readonly find: RegExp;
  readonly to: (match: RegExpExecArray) => string | Refusal;
}

interface Refusal {
  readonly refuse: 'PATTERN_INVALID' | 'PATTERN_UNSUPPORTED';
  readonly what: string;
}

const keep = ([text]: RegExpExecArray) => text;
const unsupported = (what: string) => (): Refusal => ({ refuse: 'PATTERN_UNSUPPORTED', what });
const codePoint = (hex: string): string => {
  const code = Number.parseInt(hex, 16);
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\u${(0xd7c0 + (code >> 10)).toString(16)}\\u${(0xdc00 + (code & 0x3ff)).toString(16)}`;
};

/** What a backslash may introduce, inside and outside of a class. */
const ESCAPES: readonly Conversion[] = [
  { find: /\\a/y, to: () => '\\x07' },
  { find: /\\U([0-9A-Fa-f]{8})/y, to: ([, hex]) => codePoint(hex!) },
  { find: /\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}/y, to: keep },
  { find: /\\N/y, to: unsupported('characters by name (\\N{…})') },
  { find: /\\[dDsSwWbfnrtv0-9]/y, to: keep },
];

const UNKNOWN_ESCAPE: readonly Conversion[] = [
  { find: /\\([A-Za-z])/y, to: ([text]) => ({ refuse: 'PATTERN_INVALID', what: `the unknown escape ${text}` }) },
  { find: /\\[^]/y, to: keep },
  { find: /\\/y, to: () => ({ refuse: 'PATTERN_INVALID', what: 'a backslash at its end' }) },
];

const OUTSIDE: readonly Conversion[] = [
  { find: /\\A/y, to: () => '^' },
  { find: /\\Z/y, to: () => '$' },
  { find: /\\B/y, to: keep },
  ...ESCAPES,
  ...UNKNOWN_ESCAPE,
  { find: /\(\?P<(\w+)>/y, to: ([, name]) => `(?<${name}>` },
  { find: /\(\?P=(\w+)\)/y, to: ([, name]) => `\\k<${name}>` },
  { find: /\(\?#[^)]*\)/y, to: () => '(?:)' },
  { find: /\(\?>/y, to: unsupported('an atomic group (?>…)') },
  { find: /\(\?\(/y, to: unsupported('a conditional group (?(…)…)') },
  { find: /\(\?[aiLmsux-]/y, to: unsupported('flags inside the pattern; (?i), (?s), (?m) work at its start') },
  { find: /(?:[*+?]|\{\d*,?\d*\})\+/y, to: unsupported('a possessive quantifier') },
  { find: /\{,(\d+)\}/y, to: ([, most]) => `{0,${most}}` },
];

const INSIDE: readonly Conversion[] = [...ESCAPES, ...UNKNOWN_ESCAPE];

const CLASS_START = /\[\^?\]?/y;

function convert(pattern: string, option: string): { source: string; flags: string } {
  const [globals = '', flags = ''] = /^\(\?([imsau]+)\)/.exec(pattern) ?? [];
  let source = '';
  let inClass = false;
  for (let i = globals.length; i < pattern.length;) {
    const start = inClass ? null : matchAt(CLASS_START, pattern, i);
    if (start) {
      source += start[0].endsWith(']') ? `${start[0].slice(0, -1)}\\]` : start[0]; // a leading ] is a member in Python
      inClass = true;
      i += start[0].length;
      continue;
    }
    const [length, text] = step(pattern, i, inClass ? INSIDE : OUTSIDE, option);
    if (inClass && text === ']') inClass = false;
    source += text;
    i += length;
  }
  return { source, flags: Array.from(new Set(flags.replace(/[au]/g, ''))).join('') };
}

/** Length of the next piece of the pattern, and what JavaScript writes for it. */
function step(pattern: string, i: number, conversions: readonly Conversion[], option: string): [number, string] {
  for (const { find, to } of conversions) {
    const match = matchAt(find, pattern, i);
    if (!match) continue;
    const text = to(match);
    if (typeof text === 'string') return [match[0].length, text];
    throw new LoraError(
      text.refuse,
      `${option}: "${pattern}" has ${text.what}.`,
      text.refuse === 'PATTERN_INVALID' ? 'Double the backslash for a literal one.' : 'Write the pattern without it.',
      { option, found: pattern },
    );
  }
  return [1, pattern[i]!];
}

function matchAt(find: RegExp, text: string, at: number): RegExpExecArray | null {
  find.lastIndex = at;
  return find.exec(text);
}
