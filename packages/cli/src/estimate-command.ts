import type { TrainConfig } from '@musubi/config';

import type { CliContext } from './context.ts';
import type { ExitCode } from './exit-code.ts';
import { formatBytes, formatSeconds, table } from './quantities.ts';
import type { RunEstimate } from './trainer.ts';

/** `musubi estimate`: what a run will need. Exit code 0 also where it does not fit. */
export async function estimate(
  { config, json, answers }: { config: TrainConfig; json: boolean; answers: readonly string[] },
  context: CliContext,
): Promise<ExitCode> {
  const logger = (line: string) => context.stderr.write(`${line}\n`);
  for (const answer of answers) logger(`note: ${answer}`);
  const { estimateRun } = await context.loadTrainer();
  const found = await estimateRun(config, { logger });
  context.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : describe(found));
  return 0;
}

const titles = {
  process: 'Node.js and ONNX Runtime',
  packedWeights: 'packed copies of the weights',
  activations: 'activations and gradients of the graph',
  batches: 'batches',
  adapter: 'adapter',
  gradients: 'gradients',
  optimizerState: 'optimizer',
} as const;

/** Which 8-bit base to take, where one is among the other settings; the figures are those of the guide. */
const adviceOn8Bits = (alternatives: RunEstimate['alternatives']): string[] =>
  alternatives.some(({ change }) => /^(?:int8|fp8)_base/.test(change))
    ? [
        '',
        'int8_base rounds weights by 0.6 % of their norm, fp8_base with fp8_scaled by 2.5 %: of the two take int8_base,',
        'unless the run should equal one of musubi-tuner with FP8.',
      ]
    : [];

function describe(found: RunEstimate): string {
  const { memory, model, machine, buckets, alternatives } = found;
  const parts = Object.entries(titles).map(([key, title]): string[] => [
    title,
    formatBytes(memory[key as keyof typeof titles]),
  ]);
  const rows = buckets.map(({ width, height, frames, batchSize, batchesPerEpoch, lengths, ...bucket }) => [
    `${width}x${height}${frames > 1 ? `x${frames}` : ''}`,
    `${batchSize}`,
    `${batchesPerEpoch}`,
    Object.entries(lengths)
      .map(([symbol, length]) => `${symbol} ${length}`)
      .join(', '),
    formatBytes(bucket.activationBytes),
    `${(bucket.flops / 1e9).toPrecision(3)} GFLOP`,
    formatSeconds(bucket.seconds),
  ]);
  const others = alternatives.map(({ change, memoryBytes, secondsPerStep, weightBytes, fileBytes, fits }) => [
    change,
    formatBytes(memoryBytes),
    formatBytes(weightBytes),
    formatBytes(fileBytes),
    formatSeconds(secondsPerStep),
    fits ? '' : 'does not fit',
  ]);
  return [
    `Memory ${formatBytes(memory.total)} of ${formatBytes(machine.memoryBytes)}: ${found.fits ? 'fits' : 'does not fit'}.`,
    ...table([
      ...parts,
      ['weights, mapped from their files', formatBytes(model.weightBytes)],
      ...(model.fileBytes > 0 ? [['8-bit weights, beside the checkpoint on disk', formatBytes(model.fileBytes)]] : []),
    ]),
    '',
    `${formatSeconds(found.secondsPerStep)} a step, ${formatSeconds(found.secondsOfRun)} for ${found.steps} steps.`,
    '',
    found.source === 'caches' ? 'Batches, by the caches' : 'Batches, by the pictures (no caches are made yet)',
    ...table([['size', 'items', 'an epoch', 'lengths', 'activations', 'work', 'time'], ...rows]),
    '',
    'With other settings',
    ...table([['', 'memory', 'weights', 'more on disk', 'a step'], ...others]),
    ...adviceOn8Bits(alternatives),
    '',
  ].join('\n');
}
