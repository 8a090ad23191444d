import type { TrainConfig } from '@musubi/config';

import { expect, test } from 'vitest';

import type { CliContext } from './context.ts';
import type { RunEstimate } from './trainer.ts';

import { estimate } from './estimate-command.ts';
import { formatBytes, formatSeconds } from './quantities.ts';

const MiB = 2 ** 20;
const memory = {
  process: 101,
  packedWeights: 52,
  activations: 303,
  batches: 4,
  adapter: 15,
  gradients: 6,
  optimizerState: 27,
};
const bytes = Object.fromEntries(Object.entries(memory).map(([key, value]) => [key, value * MiB])) as typeof memory;

const found: RunEstimate = {
  model: { name: 'wan', weightBytes: 611 * MiB, fileBytes: 409 * MiB, adapterParameters: 1234 },
  source: 'pictures',
  machine: { memoryBytes: 2048 * MiB },
  memory: { ...bytes, total: 508 * MiB },
  fits: true,
  buckets: [
    {
      datasetIndex: 0,
      width: 512,
      height: 256,
      frames: 5,
      batchSize: 3,
      batchesPerEpoch: 7,
      lengths: { B: 3, S: 1024 },
      flops: 8.25e11,
      activationBytes: 291 * MiB,
      seconds: 4.5,
    },
  ],
  secondsPerStep: 4.75,
  steps: 1600,
  secondsOfRun: 7600,
  alternatives: [
    {
      change: 'int8_base = true',
      memoryBytes: 444 * MiB,
      fits: true,
      secondsPerStep: 3.5,
      weightBytes: 222 * MiB,
      fileBytes: 111 * MiB,
    },
    {
      change: 'batch_size = 1',
      memoryBytes: 3333 * MiB,
      fits: false,
      secondsPerStep: 1.25,
      weightBytes: 612 * MiB,
      fileBytes: 0,
    },
  ],
};

async function printed(json: boolean, estimated = found): Promise<string> {
  let out = '';
  const context = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: () => true },
    loadTrainer: async () => ({ estimateRun: async () => estimated }),
  } as unknown as CliContext;
  expect(await estimate({ config: {} as TrainConfig, json, answers: [] }, context)).toBe(0);
  return out;
}

test('--json prints the estimate as it is', async () => {
  expect(JSON.parse(await printed(true))).toEqual(found);
});

test('8-bit integers are recommended where 8 bits are among the other settings', async () => {
  expect(await printed(false)).toContain('of the two take int8_base');
  const others = found.alternatives.filter(({ change }) => !change.includes('int8_base'));
  expect(await printed(false, { ...found, alternatives: others })).not.toContain('int8_base');
});

test('the table says every number that --json has', async () => {
  const said = JSON.parse(await printed(true)) as RunEstimate;
  const lines = (await printed(false)).split('\n');
  const line = (...cells: string[]) =>
    expect(lines.filter((text) => cells.every((cell) => text.includes(cell)))).toHaveLength(1);

  line(`Memory ${formatBytes(said.memory.total)} of ${formatBytes(said.machine.memoryBytes)}: fits.`);
  const { total: _, ...parts } = said.memory;
  for (const part of Object.values(parts)) line(` ${formatBytes(part)}`);
  line('mapped from their files', formatBytes(said.model.weightBytes));
  line('beside the checkpoint on disk', formatBytes(said.model.fileBytes));
  line(formatSeconds(said.secondsPerStep), formatSeconds(said.secondsOfRun), `${said.steps} steps`);
  for (const { width, height, frames, batchSize, batchesPerEpoch, activationBytes, seconds } of said.buckets) {
    line(`${width}x${height}x${frames}  ${batchSize} `, ` ${batchesPerEpoch} `, 'B 3, S 1024', '825 GFLOP');
    line(formatBytes(activationBytes), formatSeconds(seconds));
  }
  for (const { change, fits, ...other } of said.alternatives) {
    line(change, formatBytes(other.memoryBytes), formatBytes(other.weightBytes), formatSeconds(other.secondsPerStep));
    expect(lines.find((text) => text.includes(change))?.endsWith('does not fit')).toBe(!fits);
  }
});
