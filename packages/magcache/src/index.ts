export { createMagCache, float32Arithmetic } from './magcache.ts';
export type { Arithmetic, MagCache, MagCacheOptions } from './magcache.ts';
export { createSkipPolicy, magcacheDefaults, planSkips } from './skip-policy.ts';
export type { Accumulators, SkipPolicy, SkipPolicyOptions } from './skip-policy.ts';
export { defaultMagRatios, nearestRatios, parseMagRatios } from './ratios.ts';
export { compareResiduals, createCalibration } from './calibration.ts';
export type { Calibration, CalibrationOptions, CalibrationReport, ResidualComparison } from './calibration.ts';
export { MagCacheError } from './errors.ts';
export type { MagCacheErrorCode } from './errors.ts';
