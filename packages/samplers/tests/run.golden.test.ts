import { readdirSync, readFileSync } from 'node:fs';
import { TorchGenerator } from '@musubi/random';
import { describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createTimestepSampler } from '../src/index.ts';

// The timesteps of a whole training run of the original, from its seed alone.

interface Run {
  seed: number;
  micro_steps: {
    micro_step: number;
    latents_shape: number[];
    timesteps: number[];
    words_before: number;
    words_noise: number;
    words_timesteps: number;
  }[];
}

const names = hasGolden('runs')
  ? readdirSync(goldenPath('runs')).filter((name) => hasGolden('runs', name, 'run.json'))
  : [];

test('there is a run to compare with', () => {
  if (isDefaultGolden) expect(names.length).toBeGreaterThan(0);
});

describe.each(names)('run %s', (name) => {
  const run = readGoldenJson<Run>('runs', name, 'run.json');
  const config = readFileSync(goldenPath('runs', name, 'config.toml'), 'utf8');
  const sampler = createTimestepSampler({
    timestepSampling: option(config, 'timestep_sampling') ?? null,
    discreteFlowShift: numberOption(config, 'discrete_flow_shift'),
    sigmoidScale: numberOption(config, 'sigmoid_scale'),
    weightingScheme: option(config, 'weighting_scheme') ?? null,
    logitMean: numberOption(config, 'logit_mean'),
    logitStd: numberOption(config, 'logit_std'),
    minTimestep: numberOption(config, 'min_timestep'),
    maxTimestep: numberOption(config, 'max_timestep'),
  });
  const source = new TorchGenerator(run.seed);

  // In order: a kept normal passes from one micro-step to the next.
  test.each(run.micro_steps)('micro-step $micro_step', (step) => {
    source.skip(step.words_before + step.words_noise - source.wordsDrawn);
    const count = step.timesteps.length;
    const { timesteps } = sampler({ count, latentShape: step.latents_shape, source });
    expect(timesteps).toBeAllClose(step.timesteps, { rtol: 3e-7 });
    expect(source.wordsDrawn).toBe(step.words_before + step.words_noise + step.words_timesteps);
  });
});

function option(config: string, name: string): string | undefined {
  return new RegExp(`^${name}\\s*=\\s*"?([^"\\s]+)"?`, 'm').exec(config)?.[1];
}

function numberOption(config: string, name: string): number | null {
  const text = option(config, name);
  return text === undefined ? null : Number(text);
}
