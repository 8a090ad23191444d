import { SamplerError } from '../errors.ts';

/** @throws {SamplerError} `BAD_NUMBER` unless the argument is one of the numbers that it can be */
export function assertNumber(name: string, value: number, isValid: (x: number) => boolean, wanted: string): void {
  if (typeof value === 'number' && isValid(value)) return;
  const problem = `${name} = ${String(value)} is not ${wanted}.`;
  throw new SamplerError('BAD_NUMBER', problem, `Pass ${wanted}.`, { option: name, value });
}

export const isProbability = (x: number): boolean => x >= 0 && x <= 1;
export const isPositive = (x: number): boolean => x > 0 && x < Infinity;
export const isCount = (x: number): boolean => Number.isSafeInteger(x) && x >= 0;
