import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Request as EstimateRequest, Estimate } from './step/estimate.ts';
import type { Bench, Figure } from './harness.ts';
import type { Memory, Request, Times } from './step/measure.ts';

import { runScript } from './run-script.ts';
import { type Base, writeCheckpoint } from './step/model.ts';

const threads = 2;
const rounds = 3;
const bases: readonly Base[] = ['checkpoint', 'scaled', 'int8'];
const lengths = process.env['MUSUBI_BENCH_SMALL'] === '1' ? [256] : [512, 2048];

export const bench: Bench = {
  title: `what musubi estimate says of a training step over what is measured (the model of bench step, ${threads} threads)`,
  async run(log) {
    const folder = await mkdtemp(join(tmpdir(), 'musubi-bench-'));
    const checkpoint = join(folder, 'dit.safetensors');
    await writeCheckpoint(checkpoint);
    try {
      const figures: Figure[] = [];
      for (const tokens of lengths) {
        for (const gradientCheckpointing of [false, true]) {
          for (const base of bases) {
            log(`${tokens} tokens, ${base}${gradientCheckpointing ? ', checkpointed' : ''} …`);
            figures.push(...(await compare(checkpoint, tokens, gradientCheckpointing, base)));
          }
        }
      }
      return figures;
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function compare(
  checkpoint: string,
  tokens: number,
  gradientCheckpointing: boolean,
  base: Base,
): Promise<Figure[]> {
  const request = { checkpoint, tokens, threads, rounds, gradientCheckpointing, attention: 'whole' as const, base };
  // The first to open a base in 8 bits makes its file, which must not count.
  if (base !== 'checkpoint') await inOwnProcess('measure.ts', { ...request, kind: 'memory' });
  const memory = await inOwnProcess<Request, Memory>('measure.ts', { ...request, kind: 'memory' });
  const times = await inOwnProcess<Request, Times>('measure.ts', { ...request, kind: 'step' });
  const estimate = await inOwnProcess<EstimateRequest, Estimate>('estimate.ts', request);

  const prefix = base === 'checkpoint' ? '' : `${base}_`;
  const name = (what: string) => `${prefix}${gradientCheckpointing ? 'checkpointed_' : ''}${what}_${tokens}`;
  const ratio = { unit: 'x measured' };
  return [
    { name: name('estimate_peak_mib'), value: estimate.peakBytes / 2 ** 20, unit: 'MiB' },
    { name: name('measured_peak_mib'), value: memory.peakBytes / 2 ** 20, unit: 'MiB' },
    {
      name: name('estimate_memory_ratio'),
      value: estimate.peakBytes / memory.peakBytes,
      ...ratio,
      atLeast: 0.85,
      atMost: 1.15,
    },
    {
      name: name('estimate_activations_ratio'),
      value: estimate.activationBytes / memory.bytes,
      ...ratio,
      atLeast: 0.85,
      atMost: 1.15,
    },
    { name: name('estimate_ms'), value: estimate.seconds * 1000, unit: 'ms' },
    { name: name('measured_ms'), value: times.backwardSeconds * 1000, unit: 'ms' },
    {
      name: name('estimate_time_ratio'),
      value: estimate.seconds / times.backwardSeconds,
      ...ratio,
      atLeast: 0.7,
      atMost: 1.3,
    },
  ];
}

const inOwnProcess = <Asked, Result>(file: string, request: Asked): Promise<Result> =>
  runScript<Result>(new URL(`step/${file}`, import.meta.url), request);
