import { PythonRandom } from '@musubi/random';
import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createBucketedUniform, createHighLowSampler, createTimestepSampler, epochTimesteps } from '../src/index.ts';
import { replay, replayPool, toFloat32, toOptions } from './helpers.ts';
import type { GoldenArgs } from './helpers.ts';

const golden = readGoldenJson<{
  settings: { tolerance: { pool_abs: number; timesteps_abs: number } };
  cases: {
    args: { items_per_resolution: number[]; batch_size: number; num_timestep_buckets: number };
    input: { uniform_fractions: number[] };
    output: {
      num_batches: number;
      pool: number[][] | null;
      bucket_counts_over_200_epochs: { min: number; max: number; mean_per_bucket: number[] } | null;
    };
  }[];
  on_demand: {
    args: { num_timestep_buckets: number | null };
    input: { uniform_fractions: number[] };
    output: { timesteps: number[] };
  }[];
  rejection_with_buckets: {
    args: GoldenArgs & { num_timestep_buckets: number };
    batch: number;
    input: { uniform_fractions: number[] };
    output: { timesteps: number[]; t: number[] };
  }[];
  wan_high_low: {
    args: GoldenArgs & { timestep_boundary: number; num_timestep_buckets?: number };
    batch: number;
    input: { pool: number[] | null; uniform: number[]; normal: number[]; on_demand_fractions: number[] };
    output: { high_noise: boolean; timesteps: number[]; t: number[]; draws: [string, number][] };
  }[];
}>('maths', 'timestep_buckets.json');
const { pool_abs, timesteps_abs } = golden.settings.tolerance;

test('has cases of every kind', () => {
  if (!isDefaultGolden) return;
  const { cases, on_demand, rejection_with_buckets, wan_high_low } = golden;
  for (const list of [cases, on_demand, rejection_with_buckets, wan_high_low]) expect(list.length).toBeGreaterThan(0);
});

describe.each(golden.cases)('the pool of an epoch, $args', ({ args, input, output }) => {
  const { batch_size, num_timestep_buckets } = args;

  test('has the numbers of the original', () => {
    const { source, left } = replayPool(input.uniform_fractions);
    const pool = epochTimesteps(output.num_batches, batch_size, num_timestep_buckets, source);
    if (output.pool === null) expect(pool).toBeNull();
    else expect(pool!.flat()).toBeAllClose(output.pool.flat(), { atol: pool_abs });
    expect(pool?.map((list) => list.length)).toEqual(output.pool?.map((list) => list.length));
    expect(left()).toBe(0);
  });

  test('takes from each slice what the original takes over many epochs', () => {
    const expected = output.bucket_counts_over_200_epochs;
    if (expected === null) return;
    const counts = Array.from({ length: 200 }, (_, epoch) => {
      const numbers = epochTimesteps(output.num_batches, batch_size, num_timestep_buckets, new PythonRandom(epoch))!;
      const inEach = expected.mean_per_bucket.map(() => 0);
      for (const u of numbers.flat()) inEach[Math.floor(u * inEach.length)]!++;
      return inEach;
    });
    expect(Math.max(...counts.flat())).toBe(expected.max);
    expect(Math.min(...counts.flat())).toBeLessThanOrEqual(expected.min + 1);
    const means = expected.mean_per_bucket.map((_, k) => counts.reduce((sum, count) => sum + count[k]!, 0) / 200);
    expect(means).toBeAllClose(expected.mean_per_bucket, { atol: 0.35 });
  });
});

test.each(golden.on_demand)('on demand, $args', ({ args, input, output }) => {
  const { source } = replayPool(input.uniform_fractions);
  const next = createBucketedUniform(args.num_timestep_buckets, source);
  expect(output.timesteps.map(() => next())).toBeAllClose(output.timesteps, { atol: pool_abs });
});

test.each(golden.rejection_with_buckets)('rejection from slices, $args', ({ args, batch, input, output }) => {
  const { source: pool, left } = replayPool(input.uniform_fractions);
  const bucketedUniform = createBucketedUniform(args.num_timestep_buckets, pool);
  const sampler = createTimestepSampler(toOptions(args), { bucketedUniform });
  const unused = Array.from({ length: batch }, () => 0.5);
  const sample = sampler({
    count: batch,
    latentShape: [batch, 4, 1, 32, 32],
    pooled: unused,
    source: replay({}).source,
  });
  expect(sample.timesteps).toBeAllClose(toFloat32(output.timesteps), { atol: timesteps_abs });
  expect(sample.t).toBeAllClose(toFloat32(output.t), { atol: timesteps_abs / 1000 });
  expect(left()).toBe(0);
});

test.each(golden.wan_high_low)('high and low noise, $args', ({ args, batch, input, output }) => {
  const { source, draws } = replay(input);
  const { source: pool, left } = replayPool(input.on_demand_fractions);
  const buckets = args.num_timestep_buckets ?? null;
  const bucketedUniform = buckets === null ? null : createBucketedUniform(buckets, pool);
  const sampler = createHighLowSampler(createTimestepSampler(toOptions(args)), {
    timestepBoundary: args.timestep_boundary,
    bucketedUniform,
  });
  const sample = sampler({ count: batch, latentShape: [batch, 16, 1, 32, 32], pooled: input.pool, source });
  expect(sample.isHighNoise).toBe(output.high_noise);
  expect(sample.timesteps).toBeAllClose(toFloat32(output.timesteps), { atol: timesteps_abs });
  expect(sample.t).toBeAllClose(toFloat32(output.t), { atol: timesteps_abs / 1000 });
  expect(draws).toEqual(output.draws);
  expect(left()).toBe(0);
});
