import type { TrainConfig } from '@musubi/config';

import { describe, expect, test } from 'vitest';

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
  machine: { memoryBytes: 2048 * MiB, fits: true },
  memory: { ...bytes, total: 508 * MiB },
  device: null,
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
      deviceBytes: null,
      fits: true,
      secondsPerStep: 3.5,
      weightBytes: 222 * MiB,
      fileBytes: 111 * MiB,
    },
    {
      change: 'batch_size = 1',
      memoryBytes: 3333 * MiB,
      deviceBytes: null,
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

const lines = async (estimated: RunEstimate) => (await printed(false, estimated)).split('\n');

describe('on a device', () => {
  const GiB = 1024 * MiB;
  const device = {
    provider: 'cuda',
    name: 'NVIDIA GeForce RTX 4090',
    memoryBytes: 24 * GiB,
    freeBytes: 23 * GiB,
    neededBytes: 7 * GiB,
    memory: { weights: 4 * GiB, activations: 2 * GiB, adapter: 11 * MiB, batches: 13 * MiB, context: 512 * MiB },
    fits: true,
  } as const;
  const alternatives = found.alternatives.map((other, i) => ({ ...other, deviceBytes: (i + 31) * GiB, fits: false }));
  const onCard: RunEstimate = { ...found, memory: { ...found.memory, activations: 0 }, device, alternatives };

  test('card and machine have a line each, with what lies there', async () => {
    const said = await lines(onCard);
    expect(said[0]).toBe('Memory of the device (NVIDIA GeForce RTX 4090) 7 GiB of 24 GiB: fits.');
    expect(said.slice(1, 6).map((line) => line.trim().split(/\s{2,}/))).toEqual([
      ['weights', '4 GiB'],
      ['activations and gradients of the graph', '2 GiB'],
      ['adapter', '11 MiB'],
      ['batches', '13 MiB'],
      ['the provider itself', '512 MiB'],
    ]);
    expect(said[7]).toBe('Memory of the machine 508 MiB of 2 GiB: fits.');
    expect(said.filter((line) => line.includes('activations and gradients'))).toHaveLength(1);
    expect(said.find((line) => line.includes('int8_base = true'))).toMatch(/ 31 GiB +444 MiB .* does not fit$/);
  });

  test('what does not fit says where', async () => {
    const small = { ...onCard, fits: false, device: { ...device, memoryBytes: 6 * GiB, fits: false } };
    expect(await lines(small)).toContain(
      'Memory of the device (NVIDIA GeForce RTX 4090) 7 GiB of 6 GiB: does not fit.',
    );
    expect(await lines(small)).toContain('Memory of the machine 508 MiB of 2 GiB: fits.');
    const crowded = { ...onCard, fits: false, machine: { ...found.machine, fits: false } };
    expect((await lines(crowded))[0]).toMatch(/24 GiB: fits\.$/);
    expect(await lines(crowded)).toContain('Memory of the machine 508 MiB of 2 GiB: does not fit.');
  });

  test('what other programs have of a card is told where it is in the way', async () => {
    const taken = /Now only 3 GiB of it are free: other programs have the rest\./;
    expect((await lines({ ...onCard, device: { ...device, freeBytes: 3 * GiB } })).join('\n')).toMatch(taken);
    expect((await lines(onCard)).join('\n')).not.toMatch(/free/);
  });

  test('what is not known to fit is never said to', async () => {
    const silent = {
      ...device,
      provider: 'webgpu',
      name: null,
      memoryBytes: null,
      freeBytes: null,
      fits: null,
      memory: { ...device.memory, context: 0 },
    };
    const others = alternatives.map((other) => ({ ...other, fits: null }));
    const said = await lines({ ...onCard, fits: null, device: silent as RunEstimate['device'], alternatives: others });
    expect(said[0]).toBe(
      'Memory of the device (webgpu) 7 GiB: whether that fits is not known, as the device does not say what it has.',
    );
    expect(said.filter((line) => line.endsWith(' not known'))).toHaveLength(2);
    expect(said.filter((line) => line.endsWith(': fits.'))).toEqual(['Memory of the machine 508 MiB of 2 GiB: fits.']);
    expect(said.join('\n')).not.toContain('the provider itself');
  });
});
