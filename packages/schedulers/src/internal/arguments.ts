import { optionError, ScheduleError, unknownName } from '../errors.ts';

/** Reads the `key=value` arguments of one schedule and names the key in every error. */
export interface ArgumentReader {
  has(key: string): boolean;
  number(key: string, fallback?: number): number;
  numbers(key: string): readonly number[];
  boolean(key: string, fallback: boolean): boolean;
  text(key: string): string;
  choice<T extends string>(key: string, known: readonly T[], fallback: T): T;
}

/** @throws {ScheduleError} `UNKNOWN_ARGUMENT` for a key that the schedule does not take */
export function readArguments(
  schedule: string,
  args: Readonly<Record<string, unknown>>,
  known: readonly string[],
): ArgumentReader {
  for (const key of Object.keys(args)) {
    if (known.includes(key)) continue;
    throw unknownName('UNKNOWN_ARGUMENT', key, key, `lr_scheduler_args: ${schedule} takes no "${key}".`, known);
  }
  const has = (key: string): boolean => args[key] !== undefined && args[key] !== null;
  const wrong = (key: string, wanted: string): ScheduleError => {
    const value = args[key];
    if (!has(key)) {
      const remedy = `Add ${key}=… with ${wanted} to lr_scheduler_args.`;
      return optionError(key, value, `lr_scheduler_args: ${schedule} needs ${key}.`, remedy);
    }
    const problem = `lr_scheduler_args: ${key} = ${JSON.stringify(value)} is not ${wanted}.`;
    return optionError(key, value, problem, `Use ${wanted}.`);
  };
  return {
    has,
    number: (key, fallback) => {
      const value = has(key) ? args[key] : fallback;
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      throw wrong(key, 'a number');
    },
    numbers: (key) => {
      const value = args[key];
      if (Array.isArray(value) && value.every((x): x is number => Number.isFinite(x))) return value;
      throw wrong(key, 'a list of numbers, e.g. [10, 30]');
    },
    boolean: (key, fallback) => {
      const value = has(key) ? args[key] : fallback;
      if (typeof value === 'boolean') return value;
      throw wrong(key, 'True or False');
    },
    text: (key) => {
      const value = args[key];
      if (typeof value === 'string') return value;
      throw wrong(key, 'a text in quotes');
    },
    choice: (key, choices, fallback) => {
      const value = has(key) ? args[key] : fallback;
      const found = choices.find((choice) => choice === value);
      if (found !== undefined) return found;
      throw wrong(key, `one of ${choices.join(', ')}`);
    },
  };
}
