import { parse, TomlError } from 'smol-toml';

import { locateKeys } from '@musubi/config';

import { type ConfigIssue, DatasetError } from './errors.ts';

/**
 * Reads the text of a dataset configuration into plain objects: integers become `bigint`, floats `number`, so that
 * `30` and `30.0` stay apart.
 *
 * @param file name for messages; its extension, in any case, chooses TOML or JSON
 * @throws {DatasetError} `UNSUPPORTED_CONFIG_FORMAT`, `TOML_SYNTAX`, `JSON_SYNTAX`
 */
export function parseDatasetConfig(text: string, file: string): unknown {
  const source = text.replace(/^\uFEFF/, '');
  const name = file.toLowerCase();
  if (name.endsWith('.toml')) return parseToml(source, file);
  if (name.endsWith('.json')) return parseJson(source, file);
  throw new DatasetError(
    'UNSUPPORTED_CONFIG_FORMAT',
    `The dataset configuration ${file} is neither .toml nor .json.`,
    'Give --dataset_config a file with one of these extensions.',
    { file },
  );
}

function parseToml(text: string, file: string): unknown {
  try {
    return parse(text, { integersAsBigInt: true });
  } catch (cause) {
    const where = cause instanceof TomlError ? `, line ${cause.line}, column ${cause.column}` : '';
    const remedy = 'Correct the line; text needs quotes, e.g. image_directory = "images".';
    throw new DatasetError('TOML_SYNTAX', `${file}${where}: ${firstLine(cause)}.`, remedy, { file, cause });
  }
}

/**
 * The line of a TOML configuration that an issue is about, where it can be told: an option's own, not that of a value of several
 * lines.
 */
export function lineFinder(text: string, file: string): (path: ConfigIssue['path']) => number | undefined {
  if (!file.toLowerCase().endsWith('.toml')) return () => undefined;
  const lines = new Map(
    locateKeys(text).map(({ section, index, key, line }) => [JSON.stringify([section, index, key]), line]),
  );
  return ([first, second, third]) => {
    const place =
      typeof second === 'number' ? [first, second, third] : second === undefined ? ['', 0, first] : [first, 0, second];
    return lines.get(JSON.stringify(place));
  };
}

/** JSON has one number type, Python's reader two: integer literals are those without point and exponent. */
function parseJson(text: string, file: string): unknown {
  try {
    JSON.parse(text); // refuses what the marking below would let through
    const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
      /^-?\d+$/.test(token) ? `"\\u0001${token}"` : token,
    );
    return JSON.parse(marked, (_, value: unknown) =>
      typeof value === 'string' && isMarked(value) ? BigInt(value.slice(1)) : value,
    );
  } catch (cause) {
    const remedy = 'Correct it: names and text in double quotes, no comma after the last entry.';
    throw new DatasetError('JSON_SYNTAX', `${file}: ${firstLine(cause)}.`, remedy, { file, cause });
  }
}

// the mark is a control character, which no name and no path holds
function isMarked(text: string): boolean {
  return text.startsWith('\u0001') && /^-?\d+$/.test(text.slice(1));
}

function firstLine(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return line.replace(/^Invalid TOML document: /, '').replace(/\.$/, '');
}
