import { assertWhole, MagCacheError } from './errors.ts';

/**
 * Magnitude ratios of FramePack over 50 steps, the built-in table of musubi-tuner.
 *
 * Entry `i` is the mean of `‖residual of step i‖ / ‖residual of step i − 1‖`; the first is 1. Other models have other
 * ratios: calibrate them.
 */
export const defaultMagRatios: readonly number[] = [
  1.0, 1.06971, 1.29073, 1.11245, 1.09596, 1.05233, 1.01415, 1.05672, 1.00848, 1.03632, 1.02974, 1.00984, 1.03028,
  1.00681, 1.06614, 1.05022, 1.02592, 1.01776, 1.02985, 1.00726, 1.03727, 1.01502, 1.00992, 1.03371, 0.9976, 1.02742,
  1.0093, 1.01869, 1.00815, 1.01461, 1.01152, 1.03082, 1.0061, 1.02162, 1.01999, 0.99063, 1.01186, 1.0217, 0.99947,
  1.01711, 0.9904, 1.00258, 1.00878, 0.97039, 0.97686, 0.94315, 0.97728, 0.91154, 0.86139, 0.76592,
];

/**
 * Ratios of one schedule for another number of steps: the nearest entry, not a blend.
 *
 *     out[i] = ratios[roundHalfEven(i · (length − 1) / (steps − 1))],   steps = 1: the last ratio
 *
 * @param ratios at least one positive number
 * @param steps at least 1
 * @returns `steps` ratios
 * @throws {MagCacheError} `MAG_RATIOS`, `MAGCACHE_OPTION`
 *
 * @example
 * ```ts
 * import { nearestRatios } from '@musubi/magcache';
 *
 * console.log(nearestRatios([1, 0.9, 0.8], 5)); // [ 1, 1, 0.9, 0.8, 0.8 ]
 * ```
 */
export function nearestRatios(ratios: readonly number[], steps: number): number[] {
  assertRatios(ratios);
  assertWhole('steps', steps, 1);
  if (steps === ratios.length) return [...ratios];
  if (steps === 1) return [ratios.at(-1)!];
  const stride = (ratios.length - 1) / (steps - 1);
  return Array.from({ length: steps }, (_, i) => ratios[roundHalfEven(i * stride)]!);
}

/**
 * Reads ratios as a user writes them: `"1.0,1.06971,1.29073"`, or `"0"` for the built-in table.
 *
 * @throws {MagCacheError} `MAG_RATIOS`
 */
export function parseMagRatios(text: string): readonly number[] {
  const parts = text.split(',').map((part) => part.trim());
  // An empty part is no number, although Number('') is 0.
  const ratios = parts.map((part) => (part === '' ? Number.NaN : Number(part)));
  if (ratios.length === 1 && ratios[0] === 0) return defaultMagRatios;
  assertRatios(ratios, text);
  return ratios;
}

function assertRatios(ratios: readonly number[], written?: string): void {
  const remedy =
    'Give positive numbers separated by commas, as calibration prints them, or 0 for the built-in ratios of FramePack.';
  if (ratios.length === 0) {
    throw new MagCacheError('MAG_RATIOS', 'The list of magnitude ratios is empty.', remedy, {
      option: 'ratios',
      value: ratios,
    });
  }
  const wrong = ratios.findIndex((ratio) => !(ratio > 0 && Number.isFinite(ratio)));
  if (wrong === -1) return;
  const found = written === undefined ? String(ratios[wrong]) : `"${written.split(',')[wrong]}"`;
  throw new MagCacheError('MAG_RATIOS', `Magnitude ratio ${wrong} is ${found}, not a positive number.`, remedy, {
    option: 'ratios',
    value: written ?? ratios,
  });
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}
