import { bool, float, int, none, string, type PythonValue } from './python-value.ts';

/** Why a text is not a Python literal, and at which character (from 0). */
export class LiteralSyntaxError extends Error {
  override readonly name = 'LiteralSyntaxError';
  readonly code = 'LITERAL_SYNTAX';
  readonly position: number;
  readonly remedy =
    "Write a number, True, False, None, a quoted string, or a list or tuple of these, e.g. betas=(0.9,0.95) or mode='x'.";

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

/** Deeper nesting than any option needs; a bound for hostile input. */
const maxDepth = 64;

/**
 * Reads one Python literal, as `ast.literal_eval` does: numbers, strings (also raw), booleans, `None`, lists, tuples (also
 * bare, `0.9,0.999`) and dictionaries. Bytes, sets, complex numbers and expressions are refused.
 *
 * @throws {LiteralSyntaxError} `LITERAL_SYNTAX`
 */
export function parsePythonLiteral(text: string): PythonValue {
  const reader = { text, position: 0 };
  skipSpace(reader);
  const first = readValue(reader, 0);
  skipSpace(reader);
  const value = peek(reader) === ',' ? { type: 'tuple' as const, value: readRest(reader, first, '', 0) } : first;
  if (reader.position < text.length) fail(reader, `unexpected "${text.slice(reader.position, reader.position + 10)}"`);
  return value;
}

interface Reader {
  readonly text: string;
  position: number;
}

function readValue(reader: Reader, depth: number): PythonValue {
  if (depth > maxDepth) fail(reader, `more than ${maxDepth} levels`);
  skipSpace(reader);
  const char = peek(reader);
  if (char === '') fail(reader, 'the value is empty');
  if (char === '[') return { type: 'list', value: readSequence(reader, ']', depth) };
  if (char === '(') return readParentheses(reader, depth);
  if (char === '{') return readTable(reader, depth);
  if (/["'rRuU]/.test(char) && stringStart.test(reader.text.slice(reader.position, reader.position + 2)))
    return readStrings(reader);
  if (/[0-9.+-]/.test(char)) return readNumber(reader);
  return readWord(reader);
}

function readSequence(reader: Reader, end: string, depth: number): PythonValue[] {
  reader.position++;
  skipSpace(reader);
  if (take(reader, end)) return [];
  const values = readRest(reader, readValue(reader, depth + 1), end, depth);
  if (!take(reader, end)) fail(reader, `"${end}" is missing`);
  return values;
}

/** The values after the first, up to `end`; a trailing comma is allowed. */
function readRest(reader: Reader, first: PythonValue, end: string, depth: number): PythonValue[] {
  const values = [first];
  for (;;) {
    skipSpace(reader);
    if (!take(reader, ',')) return values;
    skipSpace(reader);
    if (peek(reader) === end) return values;
    values.push(readValue(reader, depth + 1));
  }
}

/** `(1)` is a number, `(1,)` a tuple. */
function readParentheses(reader: Reader, depth: number): PythonValue {
  const before = reader.position;
  const values = readSequence(reader, ')', depth);
  const [only] = values;
  const hasComma = /,\s*\)$/.test(reader.text.slice(before, reader.position));
  return only && values.length === 1 && !hasComma ? only : { type: 'tuple', value: values };
}

function readTable(reader: Reader, depth: number): PythonValue {
  reader.position++;
  const entries: [PythonValue, PythonValue][] = [];
  for (;;) {
    skipSpace(reader);
    if (take(reader, '}')) return { type: 'table', value: entries };
    if (entries.length > 0 && !take(reader, ',')) fail(reader, '"}" is missing');
    skipSpace(reader);
    if (entries.length > 0 && take(reader, '}')) return { type: 'table', value: entries };
    const key = readValue(reader, depth + 1);
    skipSpace(reader);
    if (!take(reader, ':')) fail(reader, '":" is missing (sets are not accepted)');
    entries.push([key, readValue(reader, depth + 1)]);
  }
}

const stringStart = /^(?:[rRuU]?["'])/;

/** One string, or several side by side, which Python joins. */
function readStrings(reader: Reader): PythonValue {
  let joined = '';
  do {
    joined += readString(reader);
    skipSpace(reader);
  } while (stringStart.test(reader.text.slice(reader.position, reader.position + 2)));
  return string(joined);
}

function readString(reader: Reader): string {
  const { text } = reader;
  const isRaw = /[rR]/.test(peek(reader));
  if (/[rRuU]/.test(peek(reader))) reader.position++;
  const quoteChar = peek(reader);
  const mark = text.startsWith(quoteChar.repeat(3), reader.position) ? quoteChar.repeat(3) : quoteChar;
  reader.position += mark.length;
  let out = '';
  while (!text.startsWith(mark, reader.position)) {
    const char = peek(reader);
    if (char === '' || (char === '\n' && mark.length === 1)) fail(reader, `the string is not closed by ${mark}`);
    if (char !== '\\') {
      out += char;
      reader.position++;
    } else if (isRaw) {
      out += text.slice(reader.position, reader.position + 2);
      reader.position += 2;
    } else {
      out += readEscape(reader);
    }
  }
  reader.position += mark.length;
  return out;
}

const simpleEscapes: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\n': '',
};

function readEscape(reader: Reader): string {
  const rest = reader.text.slice(reader.position + 1, reader.position + 10);
  const simple = simpleEscapes[rest.charAt(0)];
  if (simple !== undefined) {
    reader.position += 2;
    return simple;
  }
  const coded = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(rest);
  const octal = /^[0-7]{1,3}/.exec(rest);
  if (coded) {
    const code = Number.parseInt(coded[1] ?? coded[2] ?? coded[3] ?? '', 16);
    if (code > 0x10ffff) fail(reader, `\\${coded[0]} is no character`);
    reader.position += 1 + coded[0].length;
    return String.fromCodePoint(code);
  }
  if (octal) {
    reader.position += 1 + octal[0].length;
    return String.fromCodePoint(Number.parseInt(octal[0], 8));
  }
  if (/^[xuUN]/.test(rest)) fail(reader, `\\${rest.charAt(0)} is not followed by a character code`);
  reader.position += 1;
  return '\\';
}

const floatPattern = /^(?:(?:\d(?:_?\d)*)?\.\d(?:_?\d)*|\d(?:_?\d)*\.?)(?:[eE][+-]?\d(?:_?\d)*)?/;
const prefixedIntPattern = /^0(?:[xX](?:_?[0-9a-fA-F])+|[oO](?:_?[0-7])+|[bB](?:_?[01])+)/;

function readNumber(reader: Reader): PythonValue {
  let sign = 1;
  while (/[+-]/.test(peek(reader))) {
    if (take(reader, '-')) sign = -sign;
    else reader.position++;
    skipSpace(reader);
  }
  const rest = reader.text.slice(reader.position);
  const match = prefixedIntPattern.exec(rest) ?? floatPattern.exec(rest);
  if (!match) fail(reader, `unexpected "${rest.slice(0, 10) || reader.text}"`);
  const digits = match[0].replaceAll('_', '');
  if (/^[A-Za-z_0-9]/.test(rest.slice(match[0].length)))
    fail(reader, `"${rest.slice(0, match[0].length + 1)}" is not a number`);
  if (/^0\d*[1-9]$|^0\d+$/.test(digits) && !/^0+$/.test(digits)) fail(reader, `leading zeros in "${digits}"`);
  reader.position += match[0].length;
  const isInt = /^(?:\d+|0[xXoObB][0-9a-fA-F]+)$/.test(digits);
  const value = sign * Number(digits);
  if (isInt && !Number.isSafeInteger(value)) fail(reader, `${digits} is too large`);
  // An integer has no negative zero.
  return isInt ? int(value === 0 ? 0 : value) : float(value);
}

const words: Readonly<Record<string, PythonValue>> = { True: bool(true), False: bool(false), None: none };

function readWord(reader: Reader): PythonValue {
  const word = /^[A-Za-z_]\w*/.exec(reader.text.slice(reader.position))?.[0] ?? '';
  const value = Object.hasOwn(words, word) ? words[word] : undefined;
  if (!value)
    fail(
      reader,
      word === '' ? `unexpected "${peek(reader)}"` : `the word ${word} is not a literal (a text needs quotes)`,
    );
  reader.position += word.length;
  return value;
}

function peek(reader: Reader): string {
  return reader.text.charAt(reader.position);
}

function take(reader: Reader, char: string): boolean {
  if (peek(reader) !== char || char === '') return false;
  reader.position++;
  return true;
}

function skipSpace(reader: Reader): void {
  while (/[ \t\r\n\f]/.test(peek(reader))) reader.position++;
}

function fail(reader: Reader, message: string): never {
  throw new LiteralSyntaxError(message, reader.position);
}
