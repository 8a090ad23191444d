import { OptimizerError, unknownName } from '../errors.ts';

/** Arguments of one optimizer with defaults filled in; every error names the key. */
export interface ArgumentReader {
  number(key: string, isValid?: (x: number) => boolean, wanted?: string): number;
  /** at least 0 */
  nonNegative(key: string): number;
  /** in [0, 1) */
  beta(key: string): number;
  /** a pair, each in [0, 1) */
  betas(key?: string): readonly [number, number];
  /** any two numbers */
  pair(key: string): readonly [number, number];
  boolean(key: string): boolean;
  isGiven(key: string): boolean;
}

/** Arguments of the original classes that choose between equal implementations. */
const withoutEffect = new Set(['foreach', 'fused', 'capturable', 'differentiable', 'use_triton', 'fsdp_in_use']);

/** @throws {OptimizerError} `UNKNOWN_ARGUMENT` for a key that the optimizer does not take */
export function readArguments(
  optimizer: string,
  given: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
): ArgumentReader {
  for (const key of Object.keys(given)) {
    if (key in defaults || withoutEffect.has(key)) continue;
    const problem = `optimizer_args: ${optimizer} takes no "${key}".`;
    throw unknownName('UNKNOWN_ARGUMENT', key, key, problem, Object.keys(defaults));
  }
  const read = (key: string): unknown => (key in given ? given[key] : defaults[key]);
  const wrong = (key: string, wanted: string): OptimizerError => {
    const value = read(key);
    const problem = `optimizer_args: ${key} = ${JSON.stringify(value)} of ${optimizer} is not ${wanted}.`;
    return new OptimizerError('OPTIMIZER_ARGUMENT', problem, `Use ${wanted}.`, { option: key, value });
  };
  const number: ArgumentReader['number'] = (key, isValid = () => true, wanted = 'a number') => {
    const value = read(key);
    if (typeof value === 'number' && !Number.isNaN(value) && isValid(value)) return value;
    throw wrong(key, wanted);
  };
  return {
    number,
    nonNegative: (key) => number(key, (x) => x >= 0 && Number.isFinite(x), 'a number of at least 0'),
    beta: (key) => number(key, isBeta, 'a number of at least 0 and below 1'),
    betas: (key = 'betas') => {
      const pair = read(key);
      const [first, second, ...more]: unknown[] = Array.isArray(pair) ? pair : [];
      if (isBeta(first) && isBeta(second) && more.length === 0) return [first, second];
      throw wrong(key, 'a pair of numbers of at least 0 and below 1, e.g. (0.9, 0.999)');
    },
    pair: (key) => {
      const pair = read(key);
      const [first, second, ...more]: unknown[] = Array.isArray(pair) ? pair : [];
      if (isFinite(first) && isFinite(second) && more.length === 0) return [first, second];
      throw wrong(key, 'a pair of numbers, e.g. (1e-30, 1e-3)');
    },
    boolean: (key) => {
      const value = read(key);
      if (typeof value === 'boolean') return value;
      throw wrong(key, 'True or False');
    },
    isGiven: (key) => given[key] !== undefined && given[key] !== null,
  };
}

function isFinite(x: unknown): x is number {
  return Number.isFinite(x);
}

function isBeta(x: unknown): x is number {
  return typeof x === 'number' && x >= 0 && x < 1;
}
