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

const program = { process: 'Node.js and ONNX Runtime' };
const ofGraph = { activations: 'activations and gradients of the graph' };
const ofTraining = { batches: 'batches', adapter: 'adapter', gradients: 'gradients', optimizerState: 'optimizer' };
const onMachine = { ...program, packedWeights: 'packed copies of the weights', ...ofGraph, ...ofTraining };
const besideDevice = { ...program, packedWeights: 'weights that are widened, while they are loaded', ...ofTraining };
const onDevice = { weights: 'weights', ...ofGraph, adapter: 'adapter', batches: 'batches' };

const partsOf = <Key extends string>(
  titles: Readonly<Record<Key, string>>,
  bytes: Readonly<Record<NoInfer<Key>, number>>,
) => Object.entries<string>(titles).map(([key, title]): string[] => [title, formatBytes(bytes[key as Key])]);

const verdict = (fits: boolean): string => (fits ? 'fits' : 'does not fit');

function describeMachine({ memory, machine, model, device }: RunEstimate): string[] {
  const whose = device === null ? 'Memory' : 'Memory of the machine';
  return [
    `${whose} ${formatBytes(memory.total)} of ${formatBytes(machine.memoryBytes)}: ${verdict(machine.fits)}.`,
    ...table([
      ...(device === null ? partsOf(onMachine, memory) : partsOf(besideDevice, memory)),
      ['weights, mapped from their files', formatBytes(model.weightBytes)],
      ...(model.fileBytes > 0 ? [['8-bit weights, beside the checkpoint on disk', formatBytes(model.fileBytes)]] : []),
    ]),
    '',
  ];
}

/** What is not known to fit is not said to. */
function describeDevice(device: RunEstimate['device']): string[] {
  if (device === null) return [];
  const { provider, name, memoryBytes, freeBytes, neededBytes, fits } = device;
  const needed = `Memory of the device (${name ?? provider}) ${formatBytes(neededBytes)}`;
  const said =
    fits === null || memoryBytes === null
      ? `${needed}: whether that fits is not known, as the device does not say what it has.`
      : `${needed} of ${formatBytes(memoryBytes)}: ${verdict(fits)}.`;
  const isTaken = fits === true && freeBytes !== null && freeBytes < neededBytes;
  return [
    said,
    ...(isTaken ? [`Now only ${formatBytes(freeBytes)} of it are free: other programs have the rest.`] : []),
    ...table([
      ...partsOf(onDevice, device.memory),
      ...(device.memory.context > 0 ? [['the provider itself', formatBytes(device.memory.context)]] : []),
    ]),
    '',
  ];
}

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
  const { device, buckets, alternatives } = found;
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
  const others = alternatives.map(({ change, memoryBytes, secondsPerStep, weightBytes, fileBytes, ...other }) => [
    change,
    ...(device === null ? [] : [formatBytes(other.deviceBytes ?? 0)]),
    formatBytes(memoryBytes),
    formatBytes(weightBytes),
    formatBytes(fileBytes),
    formatSeconds(secondsPerStep),
    other.fits === null ? 'not known' : other.fits ? '' : 'does not fit',
  ]);
  return [
    ...describeDevice(device),
    ...describeMachine(found),
    `${formatSeconds(found.secondsPerStep)} a step, ${formatSeconds(found.secondsOfRun)} for ${found.steps} steps.`,
    '',
    found.source === 'caches' ? 'Batches, by the caches' : 'Batches, by the pictures (no caches are made yet)',
    ...table([['size', 'items', 'an epoch', 'lengths', 'activations', 'work', 'time'], ...rows]),
    '',
    'With other settings',
    ...table([
      ['', ...(device ? ['device'] : []), device ? 'machine' : 'memory', 'weights', 'more on disk', 'a step'],
      ...others,
    ]),
    ...adviceOn8Bits(alternatives),
    '',
  ].join('\n');
}
