import { expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import {
  broadcastWeights,
  createTimestepSampler,
  lossWeighting,
  resolveSettings,
  scheduleSigmas,
  scheduleTimesteps,
  weightingSchemes,
} from '../src/index.ts';
import type { FloatDtype, WeightingScheme } from '../src/index.ts';
import { sigmaBase, sigmaDensity, sigmaEntry } from '../src/sigma-sampler.ts';
import { replay, toFloat32, toOptions } from './helpers.ts';
import type { GoldenArgs } from './helpers.ts';

const golden = readGoldenJson<{
  settings: { tolerance: { density_u_abs: number; weights_rel: number } };
  schedule: { timesteps?: number[]; sigmas?: number[] };
  cases: {
    id: string;
    args: GoldenArgs;
    input: { uniform?: number[]; normal?: number[] };
    output: { density_u: number[]; indices: number[]; timesteps: number[]; sigma: number[] };
  }[];
  loss_weighting: {
    args: { weighting_scheme: WeightingScheme; dit_dtype: FloatDtype };
    input: { timesteps: number[] };
    output: { weights: (number | string)[] } | null;
  }[];
  loss: {
    args: { weighting_scheme: WeightingScheme };
    input: { pred: unknown[]; target: unknown[]; timesteps: number[] };
    output: { loss: number };
  }[];
}>('maths', 'sigma_weighting.json');
const { density_u_abs, weights_rel } = golden.settings.tolerance;

test('has a case of every scheme', () => {
  if (!isDefaultGolden) return;
  for (const list of [golden.cases, golden.loss_weighting]) {
    const found = new Set(list.map(({ args }) => args['weighting_scheme']));
    expect(weightingSchemes.filter((scheme) => !found.has(scheme))).toEqual([]);
  }
});

test('has the schedule of the original bit for bit', () => {
  const { timesteps, sigmas } = golden.schedule;
  if (isDefaultGolden) expect(timesteps?.length).toBe(1000);
  if (timesteps) expect(scheduleTimesteps).toEqual(toFloat32(timesteps));
  if (sigmas) expect(scheduleSigmas).toEqual(toFloat32(sigmas));
});

test.each(golden.cases)('$id: $args', ({ args, input, output }) => {
  const settings = resolveSettings(toOptions(args));
  const { source } = replay(input);
  const base = sigmaBase(settings) === 'normal' ? source.randn : source.rand;
  const positions = Array.from(base(output.density_u.length), (x) => sigmaDensity(x, settings));
  expect(positions).toBeAllClose(output.density_u, { atol: density_u_abs });
  const indices = positions.map((u) => sigmaEntry(u, settings).index);
  // What the original could not look up beyond the end is the last entry here.
  expect(indices).toEqual(output.indices.map((index) => Math.min(index, 999)));

  const sample = createTimestepSampler(toOptions(args))({
    count: output.density_u.length,
    latentShape: [output.density_u.length, 16, 1, 8, 8],
    source: replay(input).source,
  });
  expect(sample.timesteps).toEqual(toFloat32(output.timesteps));
  expect(sample.t).toEqual(toFloat32(output.sigma));
});

test.each(golden.loss_weighting)('weights the loss as $args', ({ args, input, output }) => {
  const weights = lossWeighting({
    weightingScheme: args.weighting_scheme,
    timesteps: toFloat32(input.timesteps),
    dtype: args.dit_dtype,
  });
  if (output === null) expect(weights).toBeNull();
  else expect(weights).toBeAllClose(toFloat32(output.weights), { rtol: weights_rel });
});

test.each(golden.loss)('gives the weighted loss of $args', ({ args, input, output }) => {
  const predictions = toFloat32(input.pred.flat(Infinity) as number[]);
  const targets = toFloat32(input.target.flat(Infinity) as number[]);
  const weights = lossWeighting({ weightingScheme: args.weighting_scheme, timesteps: toFloat32(input.timesteps) });
  const isFourDimensional = depth(input.pred) === 4;
  const factors = weights && isFourDimensional ? broadcastWeights(weights) : weights;
  const perItem = predictions.length / input.pred.length;
  const squares = Array.from(predictions, (p, i) => (p - targets[i]!) ** 2 * (factors?.[Math.floor(i / perItem)] ?? 1));
  const loss = squares.reduce((sum, square) => sum + square, 0) / squares.length;
  expect([loss]).toBeAllClose([output.loss], { rtol: 2e-6 });
});

function depth(nested: unknown): number {
  return Array.isArray(nested) ? 1 + depth(nested[0]) : 0;
}
