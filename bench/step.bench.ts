import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Bench, Figure } from './harness.ts';
import type { Memory, Request, Times } from './step/measure.ts';

import { measureOnce } from './eight-bit/request.ts';
import { runScript } from './run-script.ts';
import { modelConfig, writeCheckpoint } from './step/model.ts';

const threads = 2;
const rounds = 3;

export const bench: Bench = {
  title: `a training step of a Wan-class model (dim 768, 6 blocks, LoRA rank 16, float32, ${threads} threads), medians of ${rounds} rounds`,
  async run(log) {
    const folder = await mkdtemp(join(tmpdir(), 'musubi-bench-'));
    const checkpoint = join(folder, 'dit.safetensors');
    await writeCheckpoint(checkpoint);
    try {
      const figures: Figure[] = [];
      for (const tokens of [512, 2048]) {
        log(`${tokens} tokens …`);
        figures.push(...(await measureAt(tokens, checkpoint)));
      }
      log('memory of attention in pieces …');
      figures.push(...(await measurePieces(checkpoint)));
      for (const tokens of [512, 2048]) {
        log(`${tokens} tokens with 8-bit base weights …`);
        figures.push(...(await measureEightBits(tokens, checkpoint)));
      }
      return figures;
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function measureAt(tokens: number, checkpoint: string): Promise<Figure[]> {
  const request = { checkpoint, tokens, threads, rounds, attention: 'whole' as const };
  const times = await inOwnProcess<Times>({ ...request, kind: 'times', gradientCheckpointing: false });
  const memory = await inOwnProcess<Memory>({ ...request, kind: 'memory', gradientCheckpointing: false });
  const lessMemory = await inOwnProcess<Memory>({ ...request, kind: 'memory', gradientCheckpointing: true });

  // The bar on memory is for long sequences.
  const bar = <T extends object>(limits: T): T | object => (tokens === 2048 ? limits : {});
  const figures: Figure[] = [
    { name: 'forward_ms', value: times.forwardSeconds * 1000, unit: 'ms' },
    { name: 'forward_backward_ms', value: times.backwardSeconds * 1000, unit: 'ms' },
    { name: 'step_ms', value: times.stepSeconds * 1000, unit: 'ms' },
    { name: 'checkpointed_forward_backward_ms', value: times.checkpointedBackwardSeconds * 1000, unit: 'ms' },
    { name: 'checkpointed_step_ms', value: times.checkpointedStepSeconds * 1000, unit: 'ms' },
    { name: 'forward_backward_ratio', value: times.backwardToForward, unit: 'x forward', atMost: 2.6 },
    { name: 'product_limit_fraction', value: times.productsToBackward, unit: 'of the limit', atLeast: 0.75 },
    { name: 'recomputed_forwards', value: times.recomputedForwards, unit: 'x forward', atMost: 0.9 },
    { name: 'step_gflops', value: times.flops / 1e9 / times.backwardSeconds, unit: 'GFLOP/s' },
    { name: 'memory_mib', value: memory.bytes / 2 ** 20, unit: 'MiB above the weights' },
    { name: 'checkpointed_memory_mib', value: lessMemory.bytes / 2 ** 20, unit: 'MiB above the weights' },
    {
      name: 'checkpointed_memory_ratio',
      value: lessMemory.bytes / memory.bytes,
      unit: 'x plain',
      ...bar({ atMost: 0.45 }),
    },
  ];
  return figures.map((figure) => ({ ...figure, name: `${figure.name}_${tokens}` }));
}

/** With checkpointing and attention in pieces memory grows with the sequence, not its square. */
async function measurePieces(checkpoint: string): Promise<Figure[]> {
  const memoryAt = async (tokens: number): Promise<number> => {
    const attention = { chunks: tokens / rowsOfPiece, rows: rowsOfPiece };
    const request = { checkpoint, tokens, threads, rounds, attention, gradientCheckpointing: true };
    return (await inOwnProcess<Memory>({ ...request, kind: 'memory' })).bytes;
  };
  const [short, long] = [await memoryAt(2048), await memoryAt(8192)];
  return [
    { name: 'pieces_memory_mib_2048', value: short / 2 ** 20, unit: 'MiB above the weights' },
    { name: 'pieces_memory_mib_8192', value: long / 2 ** 20, unit: 'MiB above the weights' },
    { name: 'pieces_memory_growth', value: long / short, unit: 'x that at 2048', atMost: 4.5 },
  ];
}
const rowsOfPiece = 512;

/** Forward and backward pass over that with the base in float32. */
async function measureEightBits(tokens: number, checkpoint: string): Promise<Figure[]> {
  const { ratios } = await measureOnce(
    { kind: 'ratios', checkpoint, sizes: modelConfig, threads, tokens, rounds },
    true,
  );
  return Object.entries(ratios ?? {}).map(([base, value]) => ({
    name: `${base}_to_float32_${tokens}`,
    value,
    unit: 'x float32',
    atMost: 1.3,
  }));
}

const inOwnProcess = <Result>(request: Request): Promise<Result> =>
  runScript<Result>(new URL('step/measure.ts', import.meta.url), request);
