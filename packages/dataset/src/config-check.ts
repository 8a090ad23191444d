import { nearestName } from '@musubi/config';

import { type ConfigIssue, DatasetError, type Warn } from './errors.ts';
import { type DatasetOption, type OptionKind, type OptionPlace, type OptionValue, optionsOf } from './option-table.ts';
import { datasetOptions, renamedOptions } from './option-table.ts';

/** Options of one table as written, integers as numbers. */
export type OptionTable = Readonly<Record<string, OptionValue>>;

/** A configuration whose names and types are right. */
export interface CheckedConfig {
  readonly general: OptionTable;
  readonly datasets: readonly { readonly place: 'image' | 'video'; readonly options: OptionTable }[];
}

/**
 * Checks the names and types of a parsed configuration (integers as `bigint`) after renaming old names.
 *
 * A table with a video source is checked against the video options, every other table against the image options.
 *
 * @param lineOf the line of the file that an issue is about, for messages
 * @throws {DatasetError} `CONFIG_INVALID` with all `issues`
 */
export function checkDatasetConfig(
  parsed: unknown,
  file = 'dataset configuration',
  warn?: Warn,
  lineOf: (path: ConfigIssue['path']) => number | undefined = () => undefined,
): CheckedConfig {
  const issues: ConfigIssue[] = [];
  let general: OptionTable = {};
  let datasets: CheckedConfig['datasets'] = [];
  if (!isTable(parsed)) {
    issues.push(typeIssue([], 'dict', 'a table', parsed));
  } else {
    for (const [key, value] of Object.entries(parsed)) {
      if (key === 'general') general = checkTable(value, 'general', [key], issues, warn);
      else if (key === 'datasets') datasets = checkDatasets(value, issues, warn);
      else issues.push(unknownKey([key], ['general', 'datasets'], topLevelHint(key)));
    }
  }
  if (issues.length === 0) return { general, datasets };
  const told = issues.map((issue) => {
    const line = lineOf(issue.path);
    return line === undefined ? issue : { ...issue, line };
  });
  const [only] = told;
  const list = told.map(({ line, message }) => `  ${line === undefined ? '' : `line ${line}: `}${message}\n`).join('');
  const place = only?.line === undefined ? file : `${file}, line ${only.line}`;
  const what = issues.length === 1 ? `${place}: ${only?.message}` : `${file}:\n${list}`;
  throw new DatasetError('CONFIG_INVALID', what, 'Correct the file.', { file, issues: told });
}

function checkDatasets(value: unknown, issues: ConfigIssue[], warn?: Warn): CheckedConfig['datasets'] {
  if (!Array.isArray(value)) {
    issues.push(typeIssue(['datasets'], 'list', 'a list of tables, each starting with [[datasets]]', value));
    return [];
  }
  return value.map((table: unknown, index) => {
    const isVideo = isTable(table) && ('video_directory' in table || 'video_jsonl_file' in table);
    const place = isVideo ? 'video' : 'image';
    return { place, options: checkTable(table, place, ['datasets', index], issues, warn) };
  });
}

function checkTable(
  value: unknown,
  place: OptionPlace,
  path: ConfigIssue['path'],
  issues: ConfigIssue[],
  warn?: Warn,
): OptionTable {
  if (!isTable(value)) {
    issues.push(typeIssue(path, 'dict', 'a table', value));
    return {};
  }
  const known = optionsOf(place);
  const checked: Record<string, OptionValue> = {};
  for (const [name, written] of Object.entries(renameOld(value, path, warn))) {
    const row = known.get(name);
    if (row) checked[name] = checkValue(written, row, [...path, name], issues);
    else issues.push(unknownKey([...path, name], known.keys(), placeHint(name, place)));
  }
  return checked;
}

/** Old names become today's; where both stand, the old one is dropped. */
function renameOld(table: Record<string, unknown>, path: ConfigIssue['path'], warn?: Warn): Record<string, unknown> {
  const renamed = { ...table };
  for (const [old, name] of renamedOptions) {
    if (!(old in renamed)) continue;
    const isIgnored = name in renamed;
    const message = isIgnored
      ? `${pathText([...path, old])} is ignored because ${name} is given too: remove it.`
      : `${pathText([...path, old])} is an old name: write ${name}.`;
    warn?.({ code: isIgnored ? 'DEPRECATED_KEY_IGNORED' : 'DEPRECATED_KEY', message });
    if (!isIgnored) renamed[name] = renamed[old];
    delete renamed[old];
  }
  return renamed;
}

function checkValue(
  value: unknown,
  { kind }: DatasetOption,
  path: ConfigIssue['path'],
  issues: ConfigIssue[],
): OptionValue {
  switch (kind) {
    case 'string':
      if (typeof value === 'string') return value;
      break;
    case 'boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'float':
      if (typeof value === 'number') return value;
      break;
    case 'integer':
      if (isInteger(value)) return toInteger(value);
      break;
    case 'integers':
      if (Array.isArray(value)) return value.map((one: unknown, index) => checkItem(one, [...path, index], issues));
      break;
    case 'size':
      if (isInteger(value)) return [toInteger(value), toInteger(value)];
      if (Array.isArray(value) && value.length === 2 && value.every(isInteger)) return value.map(toInteger);
      break;
  }
  issues.push(typeIssue(path, expected[kind].kind, expected[kind].text, value));
  return null;
}

function checkItem(value: unknown, path: ConfigIssue['path'], issues: ConfigIssue[]): number | boolean {
  if (isInteger(value)) return toInteger(value);
  issues.push(typeIssue(path, 'int', expected.integer.text, value));
  return 0;
}

const expected = {
  string: { kind: 'str', text: 'text in quotes' },
  boolean: { kind: 'bool', text: 'true or false' },
  float: { kind: 'float', text: 'a number with a point, e.g. 30.0' },
  integer: { kind: 'int', text: 'a whole number, without a point, below 2^52' },
  integers: { kind: 'list', text: 'a list of whole numbers, e.g. [1, 25]' },
  size: { kind: 'int', text: 'one whole number or [width, height]' },
} as const satisfies Record<OptionKind, { kind: string; text: string }>;

function typeIssue(
  path: ConfigIssue['path'],
  type: 'str' | 'bool' | 'float' | 'int' | 'list' | 'dict',
  wanted: string,
  value: unknown,
): ConfigIssue {
  return { path, kind: `expected_${type}`, message: `${pathText(path)} is ${shown(value)}; it has to be ${wanted}.` };
}

function unknownKey(path: ConfigIssue['path'], known: Iterable<string>, hint: string): ConfigIssue {
  const names = [...known];
  const nearest = hint ? undefined : nearestName(String(path.at(-1)), names);
  const help = hint || (nearest ? `Did you mean "${nearest}"?` : `Known: ${names.join(', ')}.`);
  const issue = { path, kind: 'unknown_key', message: `${pathText(path)} is not an option here. ${help}` } as const;
  return nearest ? { ...issue, nearest } : issue;
}

function topLevelHint(key: string): string {
  return datasetOptions.some(({ name }) => name === key) ? 'Write it below [general] or [[datasets]].' : '';
}

/** Where an option that is not allowed in this place belongs. */
function placeHint(name: string, place: OptionPlace): string {
  const row = datasetOptions.find((option) => option.name === name);
  if (!row) return '';
  if (place === 'general') return 'Write it below each [[datasets]] it is meant for.';
  if (/^image_(directory|jsonl_file)$/.test(name)) return 'A dataset has either images or videos: make two of it.';
  return `It is an option of ${row.places.join(' and ')} datasets.`;
}

function isTable(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(value instanceof Date);
}

function isInteger(value: unknown): value is bigint | boolean {
  return typeof value === 'boolean' || (typeof value === 'bigint' && BigInt.asIntN(53, value) === value);
}

function toInteger(value: bigint | boolean): number | boolean {
  return typeof value === 'bigint' ? Number(value) : value;
}

function pathText(path: ConfigIssue['path']): string {
  if (path.length === 0) return 'The configuration';
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i > 0 ? `.${part}` : part)).join('');
}

/** A value as it would be written, shortened. */
function shown(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? `${value}.0` : String(value);
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value, bigintAsNumber) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function bigintAsNumber(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
