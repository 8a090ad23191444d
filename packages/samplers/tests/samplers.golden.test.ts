import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createTimestepSampler, findSampler, noisyLatents, samplerNames } from '../src/index.ts';
import type { SamplerName } from '../src/index.ts';
import { resolveSettings } from '../src/index.ts';
import { replay, toFloat32, toOptions } from './helpers.ts';
import type { GoldenArgs } from './helpers.ts';

interface Case {
  id: string;
  path: 'direct' | 'pooled' | 'rejection' | 'rejection_exhausted';
  args: GoldenArgs & { timestep_sampling: SamplerName };
  latent_shape: number[];
  input: {
    uniform?: number[];
    normal?: number[];
    pool?: number[];
    draws?: [string, number][];
    repeating_uniform?: number[];
  };
  output: { t: number[]; timesteps: number[]; loops?: number; uniforms_consumed?: number };
}
interface Noisy {
  args: GoldenArgs & { timestep_sampling: SamplerName };
  input: {
    latents: unknown[];
    noise: unknown[];
    dit_dtype: 'float32' | 'bfloat16' | 'float16';
    uniform?: number[];
    normal?: number[];
  };
  output: { noisy_model_input: unknown[]; timesteps: number[]; target: unknown[] };
}
interface Tolerance {
  t_abs: number;
  timesteps_abs: number;
}

const golden = readGoldenJson<{
  settings: {
    timestep_sampling_choices: string[];
    tolerance: { direct_and_rejection: Tolerance; pooled: Tolerance };
  };
  mu_table?: (Record<string, number> & { latent_h: number; latent_w: number })[];
  noisy_input: Noisy[];
  cases: Case[];
}>('maths', 'samplers.json');
const { direct_and_rejection: close, pooled: closePooled } = golden.settings.tolerance;

test('knows every sampler of the original', () => {
  expect(golden.settings.timestep_sampling_choices.filter((name) => !samplerNames.some((own) => own === name))).toEqual(
    [],
  );
});

test('is compared on every sampler but sigma, on every path', () => {
  if (!isDefaultGolden) return;
  const names = new Set(golden.cases.map(({ args }) => args.timestep_sampling));
  expect(samplerNames.filter((name) => !names.has(name))).toEqual(['sigma']);
  expect(new Set(golden.cases.map(({ path }) => path))).toEqual(
    new Set(['direct', 'pooled', 'rejection', 'rejection_exhausted']),
  );
});

const cases = golden.cases.filter(({ path }) => path !== 'rejection_exhausted');

test.each(cases)('$id: $args', ({ path, args, latent_shape, input, output }) => {
  const { source, draws, left } = replay(input);
  const sample = createTimestepSampler(toOptions(args))({
    count: output.t.length,
    latentShape: latent_shape,
    pooled: input.pool ?? null,
    source,
  });
  const tolerance = path === 'pooled' ? closePooled : close;
  expect(sample.t).toBeAllClose(toFloat32(output.t), { atol: tolerance.t_abs });
  expect(sample.timesteps).toBeAllClose(toFloat32(output.timesteps), { atol: tolerance.timesteps_abs });
  expect(draws).toEqual(input.draws);
  expect(left()).toBe(0);
});

const exhausted = golden.cases.filter(({ path }) => path === 'rejection_exhausted');

describe.each(exhausted)('$id: $args', ({ args, latent_shape, input, output }) => {
  const count = output.t.length;
  const numbers = input.repeating_uniform!;

  test('is an error', () => {
    const source = { rand: (n: number) => Float32Array.from({ length: n }, (_, i) => numbers[i]!), randn: never };
    const sampler = createTimestepSampler(toOptions(args));
    expect(() => sampler({ count, latentShape: latent_shape, source })).toThrow(
      expect.objectContaining({ code: 'RANGE_NEVER_HIT' }),
    );
  });

  test('gives the last draw of the original on request', () => {
    let consumed = 0;
    const rand = (n: number): Float32Array =>
      Float32Array.from({ length: n }, () => numbers[consumed++ % numbers.length]!);
    const sampler = createTimestepSampler({ ...toOptions(args), onExhausted: 'unrestricted' });
    const sample = sampler({ count, latentShape: latent_shape, source: { rand, randn: never } });
    expect(sample.t).toEqual(toFloat32(output.t));
    expect(sample.timesteps).toEqual(toFloat32(output.timesteps));
    expect(consumed).toBe(output.uniforms_consumed);
  });
});

describe.each(golden.mu_table ?? [])('shift for latents of $latent_h × $latent_w', ({ latent_h, latent_w, ...mus }) => {
  test.each(Object.entries(mus))('%s', (name, mu) => {
    const { components } = findSampler(name);
    const [part] = components!(resolveSettings({ timestepSampling: name }), { height: latent_h, width: latent_w });
    // t at z = 0 is s / (1 + s) with s = e^μ.
    const t = part!.toTimestep(0);
    expect(Math.log(t / (1 - t))).toBeCloseTo(mu, 9);
  });
});

test.each(golden.noisy_input)('mixes noise as $args in $input.dit_dtype', ({ args, input, output }) => {
  const [latents, noise] = [flat(input.latents), flat(input.noise)];
  const count = input.latents.length;
  const sampler = createTimestepSampler({ ...toOptions(args), sigmaDtype: input.dit_dtype });
  const { source } = replay(input);
  const { t, timesteps } = sampler({ count, latentShape: shapeOf(input.latents), source });
  expect(timesteps).toBeAllClose(toFloat32(output.timesteps), { atol: close.timesteps_abs });
  const dtype = args.timestep_sampling === 'sigma' ? input.dit_dtype : 'float32';
  expect(noisyLatents(latents, noise, t, dtype)).toBeAllClose(flat(output.noisy_model_input), { atol: 2e-6 });
});

function never(): never {
  throw new Error('no normal number was expected');
}

function flat(nested: unknown[]): Float32Array {
  return toFloat32(nested.flat(Infinity) as number[]);
}

function shapeOf(nested: unknown): number[] {
  return Array.isArray(nested) ? [nested.length, ...shapeOf(nested[0])] : [];
}
