import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import type { Bench, Figure } from './harness.ts';
import type { Request, Result } from './step/measure.ts';

import { writeCheckpoint } from './step/model.ts';
import { flopsOf } from './step/products.ts';

const script = fileURLToPath(new URL('step/measure.ts', import.meta.url));
const threads = 2;

export const bench: Bench = {
  title: `a training step of a Wan-class model (dim 768, 6 blocks, LoRA rank 16, float32, ${threads} threads), medians of 3`,
  async run(log) {
    const folder = await mkdtemp(join(tmpdir(), 'musubi-bench-'));
    const checkpoint = join(folder, 'dit.safetensors');
    await writeCheckpoint(checkpoint);
    const run = async (kind: Request['kind'], tokens: number, gradientCheckpointing = false): Promise<Result> => {
      const request: Request = { kind, checkpoint, tokens, gradientCheckpointing, threads, repeats: 3 };
      const result = await inOwnProcess(request);
      const how = gradientCheckpointing ? ', checkpointed' : '';
      log(
        `${kind} at ${tokens} tokens${how}: ${(result.seconds * 1000).toFixed(0)} ms, ${mebibytes(result).toFixed(0)} MiB`,
      );
      return result;
    };
    try {
      const figures: Figure[] = [];
      for (const tokens of [512, 2048]) figures.push(...(await measureAt(tokens, run)));
      return figures;
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function measureAt(
  tokens: number,
  run: (kind: Request['kind'], tokens: number, gradientCheckpointing?: boolean) => Promise<Result>,
): Promise<Figure[]> {
  const forward = await run('forward', tokens);
  const backward = await run('backward', tokens);
  const products = await run('products', tokens);
  const step = await run('step', tokens);
  const checkpointed = await run('backward', tokens, true);
  const checkpointedStep = await run('step', tokens, true);
  const gigaflops = backward.products.reduce((sum, p) => sum + flopsOf(p), 0) / 1e9;
  const isLong = tokens === 2048;
  const name = (stem: string) => `${stem}_${tokens}`;
  const ms = (stem: string, { seconds }: Result): Figure => ({ name: name(stem), value: seconds * 1000, unit: 'ms' });
  return [
    ms('forward_ms', forward),
    ms('forward_backward_ms', backward),
    ms('step_ms', step),
    ms('checkpointed_forward_backward_ms', checkpointed),
    ms('checkpointed_step_ms', checkpointedStep),
    { name: name('backward_ratio'), value: backward.seconds / forward.seconds, unit: 'x forward', atMost: 2.6 },
    {
      name: name('product_limit_fraction'),
      value: products.seconds / backward.seconds,
      unit: 'of the limit',
      ...(isLong ? { atLeast: 0.7 } : {}),
    },
    { name: name('step_gflops'), value: gigaflops / backward.seconds, unit: 'GFLOP/s' },
    { name: name('memory_mib'), value: mebibytes(backward), unit: 'MiB above the weights' },
    { name: name('checkpointed_memory_mib'), value: mebibytes(checkpointed), unit: 'MiB above the weights' },
    {
      name: name('checkpointed_memory_ratio'),
      value: checkpointed.memoryBytes / backward.memoryBytes,
      unit: 'x plain',
      ...(isLong ? { atMost: 0.45 } : {}),
    },
  ];
}

const mebibytes = ({ memoryBytes }: Result): number => memoryBytes / 2 ** 20;

async function inOwnProcess(request: Request): Promise<Result> {
  const args = ['--import', 'tsx', '--conditions=@musubi/source', script, JSON.stringify(request)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Result;
}
