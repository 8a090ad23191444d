import type { Runtime } from '@musubi/runtime';

import { PythonRandom } from '@musubi/random';
import { createNodeRuntime } from '@musubi/runtime/node';
import { epochTimesteps, probit } from '@musubi/samplers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type Call, recording } from './recording-runtime.ts';
import { type FinishedRun, type RunFolder, openRunFolder, short, wanRuns } from './run-folder.ts';

interface RecordedRun {
  readonly batches_per_epoch: number;
  readonly epochs: readonly {
    readonly permutation: readonly number[];
    /** As they happened, a data set when its first batch is due: the lists are its buckets and then its batches. */
    readonly python_shuffles: readonly { readonly seed: number; readonly lengths: readonly number[] }[];
  }[];
  readonly micro_steps: readonly {
    readonly dataset: number;
    readonly items: readonly string[];
    readonly loss: number;
  }[];
}

const [numBuckets, flowShift] = [5, 3];
const plainOptions = `--timestep_sampling shift --discrete_flow_shift ${flowShift}`;

test('there is a run', () => {
  if (isDefaultGolden) expect(wanRuns).not.toEqual([]);
});

describe.each(wanRuns.slice(0, 1))('num_timestep_buckets in runs like %s', (name) => {
  const recorded = readGoldenJson<RecordedRun>('runs', name, 'run.json');
  const steps = recorded.batches_per_epoch;
  let folder: RunFolder;
  let runtime: Runtime;
  let pooled: FinishedRun;
  let plain: FinishedRun;
  const [pooledCalls, plainCalls]: [Call[], Call[]] = [[], []];

  beforeAll(async () => {
    [folder, runtime] = [await openRunFolder(name), await createNodeRuntime()];
    const run = (options: string, calls: Call[]) => folder.run(options, { runtime: recording(runtime, calls) });
    pooled = await run(`${short(steps)} ${plainOptions} --num_timestep_buckets ${numBuckets}`, pooledCalls);
    plain = await run(`${short(1)} ${plainOptions}`, plainCalls);
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  test('gives the batches of the original the timesteps of their pool', () => {
    expect(pooled.steps.map(({ items }) => items)).toEqual(recorded.micro_steps.slice(0, steps).map((m) => m.items));
    const expected = poolOfFirstEpoch(recorded, Math.max(...pooled.steps.map(({ items }) => items.length)));
    pooled.steps.forEach(({ timesteps }, i) => {
      // What the sampler does with a uniform number, u → 1000·t + 1.
      const those = expected[i]!.slice(0, timesteps.length).map((u) => {
        const s = 1 / (1 + Math.exp(-probit(u)));
        return (1000 * flowShift * s) / (1 + (flowShift - 1) * s) + 1;
      });
      expect(timesteps).toBeAllClose(those, { rtol: 1e-5 });
    });
  });

  test('changes nothing else of the first batch, so that its loss is that of the graph at these timesteps', () => {
    // This one is recorded.
    expect(plain.losses[0]).toBeAllClose(recorded.micro_steps[0]!.loss, { rtol: 1e-5 });
    const { tokens, time, ...feeds } = pooledCalls[0]!.feeds;
    const { tokens: plainTokens, time: _, ...plainFeeds } = plainCalls[0]!.feeds;
    expect(feeds).toEqual(plainFeeds);
    expect(time!.shape[0]).toBe(pooled.steps[0]!.items.length);

    // noisy = latents + t·velocity, and the target is the velocity: both t give the same latents.
    const velocity = inOrderOfTokens(feeds['target']!.data as Float32Array, plainTokens!.shape.at(-1)!);
    const latentsOf = (noisy: Float32Array, { timesteps }: FinishedRun['steps'][number]): Float32Array => {
      const itemSize = noisy.length / timesteps.length;
      return noisy.map((x, i) => x - ((timesteps[Math.floor(i / itemSize)]! - 1) / 1000) * velocity[i]!);
    };
    const [found, expected] = [
      latentsOf(tokens!.data as Float32Array, pooled.steps[0]!),
      latentsOf(plainTokens!.data as Float32Array, plain.steps[0]!),
    ];
    expect(found).toBeAllClose(expected, { atol: 1e-5 });
    expect(pooled.losses[0]).not.toBe(plain.losses[0]);
    expect(pooled.losses.every(Number.isFinite)).toBe(true);
  });
});

/** The uniform numbers of each batch: Python's generator shuffles buckets and batches of a data set, then draws its pool. */
function poolOfFirstEpoch({ epochs, micro_steps }: RecordedRun, batchSize: number): number[][] {
  const { permutation, python_shuffles } = epochs[0]!;
  const datasets = [...new Set(micro_steps.map(({ dataset }) => dataset))];
  const pools = python_shuffles.map(({ seed, lengths }) => {
    const random = new PythonRandom(seed);
    for (const length of lengths) random.shuffle(Array.from({ length }, (_, i) => i));
    return epochTimesteps(lengths.at(-1)!, batchSize, numBuckets, random)!;
  });
  const batches = datasets.toSorted((a, b) => a - b).flatMap((dataset) => pools[datasets.indexOf(dataset)]!);
  return permutation.map((k) => batches[k]!);
}

/** Targets have a token's numbers in the order row, column, channel; what enters the model has channel, row, column. */
function inOrderOfTokens(target: Float32Array, width: number): Float32Array {
  const channels = width / 4;
  return target.map((_, i) => {
    const [token, channel, place] = [Math.floor(i / width), Math.floor((i % width) / 4), i % 4];
    return target[token * width + place * channels + channel]!;
  });
}
