import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { InspectConfig } from '@musubi/config';
import { decodeModel, type Graph } from '@musubi/onnx-graph';
import {
  createMemoryModel,
  graphWork,
  operatorCounts,
  symbolsOf,
  weightSummary,
  type MemoryStep,
  type NodeWork,
} from '@musubi/onnx-graph/analysis';

import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import { readProfile, type ProfiledOperator } from './profile.ts';
import { formatBytes, formatSeconds, table } from './quantities.ts';
import type { ExitCode } from './exit-code.ts';

/** What `musubi inspect --json` prints. Bytes, seconds. */
interface Inspection {
  readonly name: string;
  readonly lengths: Readonly<Record<string, number>>;
  readonly nodes: number;
  readonly operators: readonly { readonly operator: string; readonly count: number; readonly flops: number }[];
  readonly flops: number;
  readonly bytesMoved: number;
  readonly weights: {
    readonly bytes: number;
    readonly count: number;
    readonly byDtype: Readonly<Record<string, number>>;
    readonly byFile: Readonly<Record<string, number>>;
  };
  readonly memory: {
    readonly peakLiveBytes: number;
    /** With ONNX Runtime's arena. */
    readonly peakBytes: number;
    readonly peakNode: string;
    readonly aliveAtPeak: readonly { readonly name: string; readonly dtype: string; readonly bytes: number }[];
    /** Bytes alive while each node runs, in the order in which they run. */
    readonly timeline: readonly { readonly node: string; readonly liveBytes: number }[];
  };
  readonly profile: readonly ProfiledOperator[] | null;
}

/**
 * `musubi inspect`: what is in a graph and what a run of it costs.
 *
 * @throws {CliError} `USAGE`, also for a file that is no model
 */
export async function inspect(config: InspectConfig, { stdout }: Pick<CliContext, 'stdout'>): Promise<ExitCode> {
  const graph = await openModel(config.model);
  const lengths = chooseLengths(graph, config.dims);
  const profile = config.profile === null ? null : await readProfile(config.profile);
  const memory = createMemoryModel(graph).timeline(lengths);
  const work = graphWork(graph, lengths);
  const { bytes, count, byDtype, byFile } = weightSummary(graph);
  const found: Inspection = {
    name: graph.name,
    lengths: Object.fromEntries(lengths),
    nodes: graph.nodes.length,
    operators: operatorsOf(graph, work),
    flops: sum(work, (node) => node.flops),
    bytesMoved: sum(work, (node) => node.bytes),
    weights: { bytes, count, byDtype: Object.fromEntries(byDtype), byFile: Object.fromEntries(byFile) },
    memory: {
      peakLiveBytes: memory.peakLiveBytes,
      peakBytes: memory.peakBytes,
      peakNode: memory.steps[memory.peakStep]?.node.name ?? '',
      aliveAtPeak: memory.aliveAtPeak.map(({ value, bytes: size }) => ({
        name: value.name,
        dtype: value.dtype,
        bytes: size,
      })),
      timeline: memory.steps.map(({ node, liveBytes }) => ({ node: node.name, liveBytes })),
    },
    profile,
  };
  stdout.write(config.json ? `${JSON.stringify(found, null, 2)}\n` : describe(found, memory.steps));
  return 0;
}

/** @throws {CliError} `USAGE` for a file that is not there, cannot be read or is no model */
async function openModel(path: string): Promise<Graph> {
  try {
    return decodeModel(await readFile(await modelFile(path)));
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause)) throw cause;
    const problem = 'remedy' in cause ? cause.message : `${cause.message}.`;
    const remedy = 'Give an ONNX model, or a folder of training artifacts.';
    throw new CliError('USAGE', `model = "${path}": ${problem}`, remedy, { cause });
  }
}

/** The file itself, or the training graph of a folder of artifacts. */
async function modelFile(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? join(path, 'training_model.onnx') : path;
}

/** Symbols that stand for sequences in our models. */
const sequences: ReadonlySet<string> = new Set(['S', 'T', 'L']);
const [sequenceLength, otherLength] = [1024, 1];

function chooseLengths(graph: Graph, given: ReadonlyMap<string, number>): Map<string, number> {
  const symbols = symbolsOf(graph);
  const unknown = [...given.keys()].find((symbol) => !symbols.includes(symbol));
  if (unknown !== undefined) {
    const remedy = symbols.length > 0 ? `It has ${symbols.join(', ')}.` : 'All its lengths are fixed.';
    throw new CliError('USAGE', `dim: the graph has no length ${unknown}.`, remedy);
  }
  return new Map(
    symbols.map((symbol) => [symbol, given.get(symbol) ?? (sequences.has(symbol) ? sequenceLength : otherLength)]),
  );
}

function operatorsOf(graph: Graph, work: readonly NodeWork[]): Inspection['operators'] {
  return [...operatorCounts(graph)].map(([operator, count]) => ({
    operator,
    count,
    flops: sum(
      work.filter(({ node }) => operator === node.op || operator === `${node.domain}.${node.op}`),
      ({ flops }) => flops,
    ),
  }));
}

const bytesBy = (record: Readonly<Record<string, number>>) =>
  Object.entries(record).map(([name, bytes]) => [name === '' ? 'in the graph' : name, formatBytes(bytes)]);

function describe(found: Inspection, steps: readonly MemoryStep[]): string {
  const { memory, weights } = found;
  const lengths = Object.entries(found.lengths).map(([symbol, length]) => `${symbol} = ${length}`);
  return [
    `${found.name}: ${found.nodes} nodes, ${formatFlops(found.flops)}${lengths.length > 0 ? ` at ${lengths.join(', ')}` : ''}`,
    '',
    'Operators',
    ...table(
      found.operators.map(({ operator, count, flops }) => [operator, `${count}`, flops > 0 ? formatFlops(flops) : '']),
    ),
    '',
    `Weights: ${weights.count}, ${formatBytes(weights.bytes)}`,
    ...table([...bytesBy(weights.byDtype), ...bytesBy(weights.byFile)]),
    '',
    `Memory above the weights: ${formatBytes(memory.peakLiveBytes)} alive at ${memory.peakNode}, ${formatBytes(memory.peakBytes)} with the arena`,
    ...plot(steps.map(({ liveBytes }) => liveBytes)),
    '',
    'Largest tensors alive there',
    ...table(memory.aliveAtPeak.slice(0, 10).map(({ name, dtype, bytes }) => [formatBytes(bytes), dtype, name])),
    '',
    ...(found.profile
      ? [
          'What ran where, by the profile',
          ...table(
            found.profile.map(({ operator, provider, count, seconds }) => [
              operator,
              provider,
              `${count}`,
              formatSeconds(seconds),
            ]),
          ),
          '',
        ]
      : []),
  ].join('\n');
}

const [plotColumns, plotRows] = [72, 8];

/** Time from left to right; each column is the most that is alive in its part of the run. */
function plot(values: readonly number[]): string[] {
  const columns = Math.min(plotColumns, values.length);
  const peaks = Array.from({ length: columns }, (_, i) =>
    Math.max(
      ...values.slice(Math.floor((i * values.length) / columns), Math.ceil(((i + 1) * values.length) / columns)),
    ),
  );
  const highest = Math.max(...peaks, 1);
  return Array.from({ length: plotRows }, (_, row) => {
    const level = ((plotRows - row - 0.5) / plotRows) * highest;
    const label = row === 0 ? formatBytes(highest) : row === plotRows - 1 ? '0' : '';
    return `  ${label.padStart(9)} |${peaks.map((peak) => (peak >= level ? '#' : ' ')).join('')}`.trimEnd();
  });
}

function formatFlops(flops: number): string {
  const units = ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP', 'PFLOP'];
  let [value, unit] = [flops, 0];
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${Number(value.toPrecision(3))} ${units[unit]}`;
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((total, x) => total + of(x), 0);
