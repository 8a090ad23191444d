import { describe, expect, test } from 'vitest';

import {
  compareResiduals,
  createCalibration,
  createMagCache,
  createSkipPolicy,
  defaultMagRatios,
  parseMagRatios,
} from './index.ts';

describe('settings', () => {
  test.each([
    [{ ratios: [] }, 'MAG_RATIOS', /list of magnitude ratios is empty\. Give positive numbers/],
    [{ ratios: [1, -0.5] }, 'MAG_RATIOS', /ratio 1 is -0\.5/],
    [{ ratios: [1, Number.NaN] }, 'MAG_RATIOS', /ratio 1 is NaN/],
    [{ threshold: -0.1 }, 'MAGCACHE_OPTION', /threshold = -0\.1 .* Give 0 or more/],
    [{ threshold: Number.NaN }, 'MAGCACHE_OPTION', /threshold = NaN/],
    [{ retentionRatio: 1.5 }, 'MAGCACHE_OPTION', /retention_ratio = 1\.5 .* from 0 to 1/],
    [{ retentionRatio: -0.1 }, 'MAGCACHE_OPTION', /retention_ratio = -0\.1/],
    [{ k: -1 }, 'MAGCACHE_OPTION', /k = -1 is not a whole number of at least 0/],
    [{ k: 1.5 }, 'MAGCACHE_OPTION', /k = 1\.5/],
    [{ steps: 0 }, 'MAGCACHE_OPTION', /steps = 0 is not a whole number of at least 1/],
  ])('%j is refused', (wrong, code, message) => {
    const options = { steps: 10, ...wrong };
    expect(() => createSkipPolicy(options)).toThrow(expect.objectContaining({ code }));
    expect(() => createMagCache(options)).toThrow(message);
  });
});

describe('steps', () => {
  test('beyond the schedule are refused', () => {
    const policy = createSkipPolicy({ steps: 2 });
    policy.shouldSkip(0);
    policy.shouldSkip(1);
    expect(() => policy.shouldSkip(2)).toThrow(/Step 2 lies beyond the schedule of 2 steps, 0 to 1\. Set steps/);
  });

  test('out of order are refused', () => {
    const policy = createSkipPolicy({ steps: 10 });
    policy.shouldSkip(0);
    expect(() => policy.shouldSkip(2)).toThrow(expect.objectContaining({ code: 'STEP_ORDER' }));
    expect(() => policy.shouldSkip(2)).toThrow(/Step 2 came where step 1 or 0 was due/);
  });

  test('may start over at any time', () => {
    const policy = createSkipPolicy({ steps: 10 });
    policy.shouldSkip(0);
    policy.shouldSkip(1);
    expect(policy.shouldSkip(0)).toBe(false);
    expect(policy.shouldSkip(1)).toBe(false);
  });
});

describe('ratios as text', () => {
  test('are numbers with commas', () => expect(parseMagRatios('1.0, 0.98,0.9')).toEqual([1, 0.98, 0.9]));
  test('0 names the built-in ones', () => expect(parseMagRatios('0')).toBe(defaultMagRatios));
  test.each(['', '1,', '1,x', '1,0'])('"%s" is refused', (text) => {
    expect(() => parseMagRatios(text)).toThrow(expect.objectContaining({ code: 'MAG_RATIOS', value: text }));
  });
});

describe('the cache', () => {
  test('refuses a part of the model that changes the size', async () => {
    const cache = createMagCache({ steps: 3 });
    await expect(cache.run(0, new Float32Array(4), () => new Float32Array(3))).rejects.toMatchObject({
      code: 'RESIDUAL_SHAPE',
    });
  });

  test('takes other kinds of values with their arithmetic', async () => {
    const arithmetic = { add: (a: number, b: number) => a + b, subtract: (a: number, b: number) => a - b };
    const cache = createMagCache({ steps: 4, ratios: [1], retentionRatio: 0, arithmetic });
    expect(await cache.run(0, 10, (x) => x + 5)).toBe(15);
    expect(await cache.run(1, 20, (x) => x + 7)).toBe(25);
  });

  test('computes a step whose last computation failed', async () => {
    const cache = createMagCache({ steps: 4, ratios: [1], retentionRatio: 0 });
    const input = Float32Array.of(1);
    await expect(cache.run(0, input, () => Promise.reject(new Error('out of memory')))).rejects.toThrow(
      'out of memory',
    );
    expect(await cache.run(1, input, () => Float32Array.of(3))).toEqual(Float32Array.of(3));
  });
});

describe('calibration', () => {
  test('measures a known ratio and angle', () => {
    const { normRatio, normStd, cosDistance } = compareResiduals(
      Float32Array.of(0, 2, 3, 0),
      Float32Array.of(1, 0, 1, 0),
      2,
    );
    expect([normRatio, normStd, cosDistance]).toBeAllClose([2.5, Math.SQRT1_2, 0.5], { rtol: 1e-15 });
  });

  test('leaves out tokens without a residual', () => {
    const now = Float32Array.of(1, 1, 2, 0);
    const before = Float32Array.of(0, 0, 1, 0);
    expect(compareResiduals(now, before, 2)).toMatchObject({ normRatio: 2, cosDistance: 0 });
  });

  test('gives ratios that the cache takes', async () => {
    const calibration = createCalibration({ steps: 3, featureSize: 2 });
    for (const [step, scale] of [4, 2, 1].entries()) {
      await calibration.run(step, new Float32Array(4), (x) => x.map(() => scale));
    }
    const report = calibration.report();
    expect(report.ratios).toEqual([1, 0.5, 0.5]);
    expect(parseMagRatios(report.text)).toEqual(report.ratios);
  });

  test('says what is missing', () => {
    const calibration = createCalibration({ steps: 3, featureSize: 2 });
    calibration.record(0, new Float32Array(4), 'unconditional');
    expect(() => calibration.report('unconditional')).toThrow(/"unconditional" has recorded 1 of 3 steps/);
    expect(() => calibration.report()).toThrow(expect.objectContaining({ code: 'NOT_CALIBRATED' }));
    expect(() => calibration.record(1, new Float32Array(6), 'unconditional')).toThrow(/6 numbers came where 4/);
    expect(() => calibration.record(3, new Float32Array(4), 'unconditional')).toThrow(/beyond the schedule/);
  });
});
