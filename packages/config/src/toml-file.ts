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
  const lineOf = lineFinder(text);
  const all: FileEntry[] = [];
  for (const [name, value] of Object.entries(parseToml(text, file))) {
    const section = isTable(value) ? name : null;
    for (const [key, inner] of isTable(value) ? Object.entries(value) : ([[name, value]] as const)) {
      all.push({ key, value: inner, origin: { source: 'file', file, section, line: lineOf(section ?? '', key) } });
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

/** Line of a key in a section; for a nested table the line that opens it. */
function lineFinder(toml: string): (section: string, key: string) => number | null {
  const lines = locateKeys(toml);
  const byName = new Map(lines.toReversed().map(({ section, key, line }) => [JSON.stringify([section, key]), line]));
  return (section, key) =>
    byName.get(JSON.stringify([section, key])) ??
    lines.find((at) => at.section === `${section}.${key}` || at.section.startsWith(`${section}.${key}.`))?.line ??
    // `section = { key = value }`
    byName.get(JSON.stringify(['', section])) ??
    null;
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
      text: `${file}, line ${cause.line}, column ${cause.column}: not valid TOML: ${reason}.\n${cause.codeblock.trimEnd()}\n`,
      remedy: 'Mend this line: texts need quotes, true and false are small letters, a key may stand once in a section.',
      file,
      line: cause.line,
    };
    throw new ConfigError([problem], { cause });
  }
}

function isTable(value: FileValue): value is { [key: string]: FileValue } {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date);
}

function where({ section, line }: FileOrigin): string {
  const place = section === null ? 'at top level' : `in [${section}]`;
  return line === null ? place : `${place} (line ${line})`;
}
