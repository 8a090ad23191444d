/** Where a key stands in a TOML text. */
export interface KeyLine {
  /** The header above it as its path, `''` at top level. */
  readonly section: string;
  /** How many headers of the same path are further up: which `[[table]]` of a list it is. */
  readonly index: number;
  /** First part of the key. */
  readonly key: string;
  /** From 1. */
  readonly line: number;
  /** The value as it is written, without comment; `''` when it takes several lines. */
  readonly written: string;
}

/**
 * Finds the line of every key of a **valid** TOML text, in order. The parser gives values without positions; this only
 * walks over strings, comments and brackets to see where statements start.
 */
export function locateKeys(toml: string): KeyLine[] {
  const keys: KeyLine[] = [];
  const headers = new Map<string, number>();
  let section = '';
  let line = 1;
  let position = 0;
  const skipLine = (): void => {
    while (position < toml.length && toml[position] !== '\n') position++;
  };

  while (position < toml.length) {
    const char = toml[position];
    if (char === '\n') {
      line++;
      position++;
    } else if (char === '#') {
      skipLine();
    } else if (char === '[') {
      const header = toml.slice(position).match(/^\[\[?([^\]\n]*)\]/)?.[1] ?? '';
      section = readPath(header).join('.');
      headers.set(section, (headers.get(section) ?? -1) + 1);
      skipLine();
    } else if (char === ' ' || char === '\t' || char === '\r' || char === '\uFEFF') {
      position++;
    } else {
      const statement = toml.slice(position, endOfLine(toml, position));
      const [key = '', ...rest] = readPath(statement);
      const { end, valueEnd } = endOfStatement(toml, position);
      const value = toml
        .slice(position, valueEnd)
        .replace(/^(?:[^="']|"(?:[^"\\]|\\.)*"|'[^']*')*=/, '')
        .trim();
      const place = { line, written: value.includes('\n') ? '' : value };
      // `section.key = value` at top level is flattened like a key below `[section]`.
      if (section === '' && rest.length > 0) keys.push({ section: key, index: 0, key: rest[0] ?? '', ...place });
      else keys.push({ section, index: headers.get(section) ?? 0, key, ...place });
      line += toml.slice(position, end).split('\n').length - 1;
      position = end;
    }
  }
  return keys;
}

/** `a."b c".d = 1` → `['a', 'b c', 'd']`; stops at the equals sign. */
function readPath(text: string): string[] {
  const parts: string[] = [];
  const part = /\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.)?/y;
  for (let match = part.exec(text); match; match = part.exec(text)) {
    parts.push(match[1] ?? match[2] ?? match[3] ?? '');
    if (match[4] === undefined) break;
  }
  return parts;
}

/** End of the statement that starts here, and of its value; the value may be an array or a string of several lines. */
function endOfStatement(toml: string, start: number): { end: number; valueEnd: number } {
  let depth = 0;
  let position = start;
  let valueEnd = start;
  while (position < toml.length) {
    const char = toml[position];
    if (char === '\n' && depth === 0) break;
    if (char === '#') {
      position = endOfLine(toml, position);
      continue;
    }
    if (char === '[' || char === '{') depth++;
    if (char === ']' || char === '}') depth--;
    position = char === '"' || char === "'" ? endOfString(toml, position) : position + 1;
    valueEnd = position;
  }
  return { end: position, valueEnd };
}

function endOfString(toml: string, start: number): number {
  const quote = toml.charAt(start);
  const mark = toml.startsWith(quote.repeat(3), start) ? quote.repeat(3) : quote;
  let position = start + mark.length;
  while (position < toml.length && !toml.startsWith(mark, position))
    position += quote === '"' && toml[position] === '\\' ? 2 : 1;
  position += mark.length;
  // Up to two quotes may stand before the closing three.
  while (mark.length === 3 && toml[position] === quote) position++;
  return position;
}

function endOfLine(toml: string, start: number): number {
  const end = toml.indexOf('\n', start);
  return end < 0 ? toml.length : end;
}
