import { TorchGenerator } from '@musubi/random';
import { describe, expect, test } from 'vitest';

import { createTimestepSampler, samplerDefaults, samplers } from './index.ts';
import type { TimestepSamplerOptions } from './index.ts';

const latentShape = [4, 16, 3, 60, 104];

function draw(options: TimestepSamplerOptions, count = 500, pooled: number[] | null = null) {
  return createTimestepSampler(options)({ count, latentShape, pooled, source: new TorchGenerator(1) });
}

describe.each(samplers)('$name', ({ name, options }) => {
  test('gives noise levels in [0, 1]', () => {
    const { t, timesteps } = draw({ timestepSampling: name });
    expect(t.every((x) => x >= 0 && x <= 1)).toBe(true);
    expect(timesteps.every((x) => x >= 1 && x <= 1001)).toBe(true);
  });

  test('stays in its range, squeezed or not', () => {
    if (name === 'sigma') return; // Its range is one of indices.
    for (const preserveDistributionShape of [false, true]) {
      const { t } = draw({ timestepSampling: name, minTimestep: 300, maxTimestep: 700, preserveDistributionShape });
      expect(t.every((x) => x >= Math.fround(0.3) && x <= Math.fround(0.7))).toBe(true);
    }
  });

  test('depends on each option that it lists', () => {
    const changed: TimestepSamplerOptions = {
      sigmoidScale: 1.5,
      discreteFlowShift: 2,
      logitMean: 0.5,
      logitStd: 0.7,
      modeScale: 0.5,
      weightingScheme: 'mode',
      qinglongPreset: 'musubi-0.3.4',
      qinglongRatios: [20, 30, 50],
      sigmaDtype: 'bfloat16',
    };
    for (const option of options) {
      const needed = option.startsWith('logit') && name === 'sigma' ? 'logit_normal' : 'mode';
      const base: TimestepSamplerOptions =
        option === 'weightingScheme' ? { timestepSampling: name } : { timestepSampling: name, weightingScheme: needed };
      expect(draw({ ...base, [option]: changed[option] }).t, option).not.toEqual(draw(base).t);
    }
  });

  test('depends on the size of the latents only if it says so', () => {
    const { usesLatentSize } = samplers.find((sampler) => sampler.name === name)!;
    const sampler = createTimestepSampler({ timestepSampling: name });
    const [small, large] = [8, 64].map(
      (side) => sampler({ count: 50, latentShape: [50, 16, side, side], source: new TorchGenerator(1) }).t,
    );
    if (usesLatentSize) expect(small).not.toEqual(large);
    else expect(small).toEqual(large);
  });
});

describe('pooled numbers', () => {
  const pooled = Array.from({ length: 40 }, (_, i) => (i + 0.5) / 40);
  const plain = samplers.filter(({ name }) => name !== 'sigma' && !name.startsWith('qinglong'));

  test.each(plain)('$name maps them monotonically', ({ name }) => {
    const { t } = draw({ timestepSampling: name }, 40, pooled);
    const direction = Math.sign(t[39]! - t[0]!);
    expect(t.slice(1).every((x, i) => (x - t[i]!) * direction > 0)).toBe(true);
  });

  test.each(plain)('$name is finite at their ends', ({ name }) => {
    const { t } = draw({ timestepSampling: name }, 2, [0, 1 - 2 ** -25]);
    expect(t.every((x) => x >= 0 && x <= 1)).toBe(true);
  });

  test('sigma ignores them', () => {
    expect(draw({}, 40, pooled).t).toEqual(draw({}, 40).t);
  });
});

describe('options', () => {
  test('absent and null ones are the defaults', () => {
    const nulls = Object.fromEntries(Object.keys(samplerDefaults).map((key) => [key, null]));
    expect(draw(nulls)).toEqual(draw({}));
    expect(draw({ timestepSampling: 'sigma', weightingScheme: 'none' })).toEqual(draw({}));
  });

  test.each<[string, string, TimestepSamplerOptions]>([
    ['UNKNOWN_SAMPLER', 'timestep_sampling', { timestepSampling: 'logsnrr' }],
    ['UNKNOWN_WEIGHTING', 'weighting_scheme', { weightingScheme: 'sigma' }],
    ['SAMPLER_OPTION', 'qinglong_preset', { qinglongPreset: '0.3.4' }],
    ['SAMPLER_OPTION', 'qinglong_ratios', { qinglongRatios: [0, 0, 0] }],
    ['SAMPLER_OPTION', 'qinglong_ratios', { qinglongRatios: [50, 60, -10] }],
    ['SAMPLER_OPTION', 'sigma_dtype', { sigmaDtype: 'fp16' }],
    ['SAMPLER_OPTION', 'discrete_flow_shift', { discreteFlowShift: 0 }],
    ['SAMPLER_OPTION', 'sigmoid_scale', { sigmoidScale: Number.NaN }],
    ['SAMPLER_OPTION', 'logit_std', { logitStd: -1 }],
    ['SAMPLER_OPTION', 'mode_scale', { modeScale: 3, weightingScheme: 'mode' }],
    ['SAMPLER_OPTION', 'min_timestep', { minTimestep: -1 }],
    ['SAMPLER_OPTION', 'max_timestep', { maxTimestep: 1001 }],
    ['SAMPLER_OPTION', 'min_timestep', { minTimestep: 600, maxTimestep: 500 }],
    ['SAMPLER_OPTION', 'min_timestep', { minTimestep: 5, maxTimestep: 5, preserveDistributionShape: true }],
  ])('refuses with %s, %s: %o', (code, option, options) => {
    expect(() => createTimestepSampler(options)).toThrow(
      expect.objectContaining({ name: 'SamplerError', code, option, remedy: expect.any(String) }),
    );
  });

  test('a wrong name is answered with the nearest', () => {
    expect(() => createTimestepSampler({ timestepSampling: 'logsnrr' })).toThrowErrorMatchingInlineSnapshot(
      `[SamplerError: timestep_sampling = "logsnrr" is not a sampler. Did you mean "logsnr"? Known: sigma, uniform, sigmoid, shift, flux_shift, flux2_shift, ideogram4_shift, qwen_shift, krea2_shift, logsnr, qinglong_flux, qinglong_qwen.]`,
    );
  });
});

describe('a batch', () => {
  test('needs a latent size where the sampler uses it', () => {
    const sampler = createTimestepSampler({ timestepSampling: 'flux_shift' });
    expect(() => sampler({ count: 1, latentShape: [7], source: new TorchGenerator(1) })).toThrow(
      expect.objectContaining({ code: 'BATCH_SHAPE' }),
    );
  });

  test('needs a pooled number for each item', () => {
    expect(() => draw({ timestepSampling: 'uniform' }, 3, [0.5])).toThrow(
      expect.objectContaining({ code: 'POOL_SIZE' }),
    );
  });

  test.each([NaN, -0.1, 2])('refuses the pooled number %d', (u) => {
    expect(() => draw({ timestepSampling: 'uniform' }, 2, [0.5, u])).toThrow(
      expect.objectContaining({ code: 'POOL_NUMBER', option: 'pooled', remedy: expect.any(String) }),
    );
  });

  test('a range that the sampler never reaches ends in an error, not in an endless loop', () => {
    const options = { timestepSampling: 'logsnr', logitMean: 20, minTimestep: 900, preserveDistributionShape: true };
    expect(() => draw(options, 1)).toThrowErrorMatchingInlineSnapshot(
      `[SamplerError: 1000 rounds of timestep_sampling = "logsnr" gave 0 of 1 timesteps between min_timestep = 900 and max_timestep = 1000. Widen the range, choose a sampler that reaches it, or remove preserve_distribution_shape to squeeze the distribution into it.]`,
    );
  });
});
