import type { OptionSpec, OptionType } from './option-spec.ts';
import { bool, float, int, list, string, type PythonValue } from './python-value.ts';
import type { FileValue } from './toml-file.ts';

/** A value, or what was expected instead of what was found. */
export type Converted = { readonly value: PythonValue } | { readonly expected: string };

const expectation: Readonly<Record<OptionType, string>> = {
  string: 'a text in quotes',
  path: 'a path in quotes',
  int: 'a whole number',
  float: 'a number',
  int_or_float: 'a number of steps, or a share such as 0.1 or "10%"',
  bool: 'true or false, without quotes',
};

/** Reads what stands behind an option on the command line. */
export function convertText(spec: OptionSpec, text: string): Converted {
  const value = textToValue(spec.type, text);
  if (value === undefined) return { expected: expectation[spec.type].replace(' in quotes', '').replaceAll('"', '') };
  return checked(spec, value);
}

/** Reads a value of a configuration file; lists stay lists, whole numbers stay whole. */
export function convertFileValue(spec: OptionSpec, value: FileValue): Converted {
  if (spec.nargs === undefined) return convertFileScalar(spec, value);
  if (!Array.isArray(value))
    return { expected: `a list, e.g. ${spec.name} = [${spec.type === 'float' ? '1.0' : '"…"'}]` };
  const items: PythonValue[] = [];
  for (const element of value) {
    const converted = convertFileScalar(spec, element);
    if ('expected' in converted) return { expected: `a list in which each value is ${converted.expected}` };
    items.push(converted.value);
  }
  return checkedCount(spec, items);
}

/** A list on the command line. */
export function convertTexts(spec: OptionSpec, texts: readonly string[]): Converted {
  const items: PythonValue[] = [];
  for (const text of texts) {
    const converted = convertText(spec, text);
    if ('expected' in converted) return { expected: `${converted.expected} for each value` };
    items.push(converted.value);
  }
  return checkedCount(spec, items);
}

function checkedCount({ nargs }: OptionSpec, items: readonly PythonValue[]): Converted {
  if (typeof nargs === 'number' && items.length !== nargs) return { expected: `${nargs} values` };
  if (nargs === '+' && items.length === 0) return { expected: 'at least one value' };
  return { value: list(items) };
}

/** How the user probably meant to write a value of the wrong type in a configuration file. */
export function suggestFileValue({ type, nargs }: OptionSpec, value: FileValue): string | undefined {
  if (nargs !== undefined) return typeof value === 'string' ? `[${JSON.stringify(value)}]` : undefined;
  if (type === 'int' && typeof value === 'number' && Number.isInteger(value)) return String(value);
  if (type === 'int' && typeof value === 'string' && textToValue(type, value)) return value.trim();
  if (type === 'bool' && typeof value === 'string' && /^(?:true|false)$/i.test(value)) return value.toLowerCase();
  if (type === 'string' && /^(?:number|bigint|boolean)$/.test(typeof value)) return JSON.stringify(String(value));
  return undefined;
}

/**
 * A count of steps or a share of all steps, as the original's command line reads it: `10%` is 0.1; a whole number of 1 and
 * more counts steps; anything else stays a float.
 */
export function parseStepsOrShare(text: string): PythonValue | undefined {
  const percent = /^(.*)%\s*$/s.exec(text);
  const value = parseFloatText(percent?.[1] ?? text);
  if (value === undefined) return undefined;
  if (percent) return float(value / 100);
  return stepsOrShare(value);
}

function convertFileScalar(spec: OptionSpec, value: FileValue): Converted {
  const converted = fileScalarToValue(spec.type, value);
  return converted === undefined ? { expected: expectation[spec.type] } : checked(spec, converted);
}

function fileScalarToValue(type: OptionType, value: FileValue): PythonValue | undefined {
  switch (type) {
    case 'string':
    case 'path':
      return typeof value === 'string' ? string(value) : undefined;
    case 'bool':
      return typeof value === 'boolean' ? bool(value) : undefined;
    case 'int':
      return typeof value === 'bigint' ? safeInt(value) : undefined;
    case 'float':
    case 'int_or_float':
      if (typeof value === 'bigint') return safeInt(value);
      if (typeof value === 'number')
        return !Number.isFinite(value) ? undefined : type === 'float' ? float(value) : stepsOrShare(value);
      return typeof value === 'string' ? textToValue(type, value) : undefined;
  }
}

function textToValue(type: OptionType, text: string): PythonValue | undefined {
  if (type === 'string' || type === 'path') return string(text);
  if (type === 'int')
    return /^\s*[+-]?\d+(?:_\d+)*\s*$/.test(text)
      ? safeInt(BigInt(text.trim().replace(/^\+/, '').replaceAll('_', '')))
      : undefined;
  if (type === 'int_or_float') return parseStepsOrShare(text);
  const value = parseFloatText(text);
  return value === undefined ? undefined : float(value);
}

function parseFloatText(text: string): number | undefined {
  if (!/^\s*[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?\s*$/.test(text)) return undefined;
  const value = Number(text.replaceAll('_', ''));
  return Number.isFinite(value) ? value : undefined;
}

function stepsOrShare(value: number): PythonValue {
  return Number.isSafeInteger(value) && value >= 1 ? int(value) : float(value);
}

function safeInt(value: bigint): PythonValue | undefined {
  const number = Number(value);
  return Number.isSafeInteger(number) ? int(number) : undefined;
}

function checked({ choices, range }: OptionSpec, value: PythonValue): Converted {
  if (choices && value.type === 'string' && !choices.includes(value.value))
    return { expected: `one of ${choices.join(', ')}` };
  if (range && (value.type === 'int' || value.type === 'float')) {
    const { min, above, max } = range;
    const isBelow = (min !== undefined && value.value < min) || (above !== undefined && value.value <= above);
    if (isBelow || (max !== undefined && value.value > max)) return { expected: showRange(range) };
  }
  return { value };
}

function showRange({ min, above, max }: NonNullable<OptionSpec['range']>): string {
  if (above !== undefined) return `a number above ${above}`;
  if (min !== undefined && max !== undefined) return `a number from ${min} to ${max}`;
  return min === undefined ? `a number up to ${max}` : `${min} or more`;
}
