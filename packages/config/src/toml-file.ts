import { parse, TomlError } from 'smol-toml';

import { ConfigError, type ConfigProblem } from './errors.ts';
import { placeOf, placeText, type FileOrigin } from './origin.ts';
import { locateKeys } from './toml-lines.ts';

/** A value of a TOML file; whole numbers arrive as bigint, so that `1` and `1.0` stay apart. */
export type FileValue = string | number | bigint | boolean | Date | FileValue[] | { [key: string]: FileValue };

/** One key of a configuration file after flattening. */
export interface FileEntry {
  readonly key: string;
  readonly value: FileValue;
  /** The value as the user wrote it. */
  readonly written: string;
  readonly origin: FileOrigin;
}

/**
 * Reads a TOML configuration and flattens it by one level: sections are only there for the reader.
 *
 * A key in two sections and a table inside a section are problems, because nobody can see which value counts.
 *
 * @param file the name that messages give
 * @throws {ConfigError} `TOML_SYNTAX`
 */
export function readTomlEntries(text: string, file: string): { entries: FileEntry[]; problems: ConfigProblem[] } {
  const placeOfKey = keyFinder(text);
  const all: FileEntry[] = [];
  for (const [name, value] of Object.entries(parseToml(text, file))) {
    const section = isTable(value) ? name : null;
    for (const [key, inner] of isTable(value) ? Object.entries(value) : ([[name, value]] as const)) {
      const { line, written } = placeOfKey(section ?? '', key) ?? { line: null, written: '' };
      all.push({
        key,
        value: inner,
        written: shorten(written || show(inner)),
        origin: { source: 'file', file, section, line },
      });
    }
  }

  const problems: ConfigProblem[] = [];
  const entries = new Map<string, FileEntry>();
  for (const entry of all) {
    const { key, value, origin } = entry;
    const earlier = entries.get(key);
    if (isTable(value)) {
      problems.push({
        code: 'WRONG_TYPE',
        text: `${placeText(origin)}[${origin.section}.${key}] is a table inside a section; sections are one level deep.`,
        remedy: `Write its keys below a section of their own, e.g. [${key}].`,
        option: key,
        ...placeOf(origin),
      });
    } else if (earlier) {
      problems.push({
        code: 'DUPLICATE_KEY',
        text: `${placeText(origin)}${key} is given twice, ${where(earlier.origin)} and ${where(origin)}; sections are flattened, so one of them would be ignored.`,
        remedy: 'Remove one of the two lines.',
        option: key,
        ...placeOf(origin),
      });
    } else {
      entries.set(key, entry);
    }
  }
  return { entries: [...entries.values()], problems };
}

/** Where a key of a section stands; for a nested table the line that opens it. */
function keyFinder(toml: string): (section: string, key: string) => { line: number; written: string } | undefined {
  const keys = locateKeys(toml);
  const byName = new Map(keys.toReversed().map((at) => [JSON.stringify([at.section, at.key]), at]));
  return (section, key) => {
    const found = byName.get(JSON.stringify([section, key]));
    if (found) return found;
    const header = keys.find((at) => at.section === `${section}.${key}` || at.section.startsWith(`${section}.${key}.`));
    // Otherwise `section = { key = value }`.
    const opening = header ?? byName.get(JSON.stringify(['', section]));
    return opening && { line: opening.line, written: '' };
  };
}

/** A value in TOML's notation, for messages about values of several lines. */
function show(value: FileValue): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? '{ … }' : String(value);
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

function parseToml(text: string, file: string): { [key: string]: FileValue } {
  try {
    // Notepad on Windows writes a byte order mark, which TOML does not know.
    return parse(text.replace(/^\uFEFF/, ''), { integersAsBigInt: true }) as { [key: string]: FileValue };
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const [reason = ''] = cause.message.replace(/^Invalid TOML document: /, '').split('\n');
    const problem: ConfigProblem = {
      code: 'TOML_SYNTAX',
      text: `${file}, line ${cause.line}, column ${cause.column}: not valid TOML: ${reason}.\n${withoutSecrets(cause.codeblock).trimEnd()}\n`,
      remedy: /[A-Za-z]:\\/.test(cause.codeblock)
        ? 'Write a Windows path in single quotes, or with / instead of \\.'
        : 'Mend this line: texts need quotes, true and false are small letters, a key may stand once in a section.',
      file,
      line: cause.line,
    };
    throw new ConfigError([problem], { cause });
  }
}

/** The lines around a mistake may hold a key. */
function withoutSecrets(lines: string): string {
  return lines.replaceAll(/(\w*(?:key|token)["']?\s*=\s*)\S.*/g, '$1…');
}

function isTable(value: FileValue): value is { [key: string]: FileValue } {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date);
}

function where({ section, line }: FileOrigin): string {
  const place = section === null ? 'at top level' : `in [${section}]`;
  return line === null ? place : `${place} (line ${line})`;
}
