import type { ConfigErrorCode, ConfigProblem } from './errors.ts';
import { asWritten, placeOf } from './origin.ts';
import type { PythonValue } from './python-value.ts';
import type { OptionsRead, ReadOption } from './read-options.ts';

/** The options of a command by name, and the list of what is found wrong with them. */
export interface OptionValues {
  readonly problems: readonly ConfigProblem[];
  option(name: string): ReadOption;
  textOrNull(name: string): string | null;
  text(name: string): string;
  numberOrNull(name: string): number | null;
  number(name: string): number;
  flag(name: string): boolean;
  items(name: string): readonly PythonValue[];
  /** Notes a mistake, worded with the place of the option. */
  problem(code: ConfigErrorCode, name: string, reason: string, remedy: string, nearest?: string): void;
}

export function optionValues(options: OptionsRead['options']): OptionValues {
  const problems: ConfigProblem[] = [];
  return { problems, option, textOrNull, text, numberOrNull, number, flag, items, problem };

  function option(name: string): ReadOption {
    const found = options.get(name);
    if (!found) throw new Error(`internal: ${name} is not in the option table`);
    return found;
  }

  function textOrNull(name: string): string | null {
    const { value } = option(name);
    return value.type === 'string' ? value.value : null;
  }

  function text(name: string): string {
    return textOrNull(name) ?? '';
  }

  function numberOrNull(name: string): number | null {
    const { value } = option(name);
    return value.type === 'int' || value.type === 'float' ? value.value : null;
  }

  function number(name: string): number {
    return numberOrNull(name) ?? Number.NaN;
  }

  function flag(name: string): boolean {
    return option(name).value.value === true;
  }

  function items(name: string): readonly PythonValue[] {
    const { value } = option(name);
    return value.type === 'list' ? value.value : [];
  }

  function problem(code: ConfigErrorCode, name: string, reason: string, remedy: string, nearest?: string): void {
    const { origin, written } = option(name);
    const isSet = origin.source !== 'default';
    problems.push({
      code,
      text: isSet ? `${asWritten(origin, name, written)}: ${reason}` : `${name} ${reason}`,
      remedy,
      option: name,
      ...(isSet ? { value: written } : {}),
      ...placeOf(origin),
      ...(nearest === undefined ? {} : { nearest }),
    });
  }
}
