import type { HostTensor } from '@musubi/onnx-graph';
import type { Optimizer } from '@musubi/optimizers';
import type { Runtime } from '@musubi/runtime';

import { gradientName } from '@musubi/autodiff';
import { Graph, add, encodeModel, mul, reduceSum, sub } from '@musubi/onnx-graph';
import { createOptimizer } from '@musubi/optimizers';
import { adamwGraphOptions } from '@musubi/optimizers/graph';

import { type TrainingHooks, type TrainingRun, openDeviceWeights, train } from '../src/index.ts';
import { createLossScale } from '../src/loss-scale.ts';
import { type FakeRunOptions, fakeRun } from './fake-run.ts';

/** A small run with AdamW, for the host and for devices: by default of one module, that is of two matrices. */
export interface Scenario extends Omit<FakeRunOptions, 'compute' | 'optimizer' | 'learningRate'> {
  readonly what: string;
  readonly args?: Readonly<Record<string, unknown>>;
  readonly modules?: number;
  /** Matrices are computed as one where they can be. */
  readonly joins?: boolean;
  /** Rates of the matrices down and up; those without a rate are in no group. */
  readonly rates?: readonly (number | null)[];
  /** Of the distances at a batch, counted from 1. */
  readonly scale?: (batch: number) => number;
  readonly lossScale?: boolean;
  /** The optimizer remembers so many steps of an earlier run. */
  readonly stepsBefore?: number;
  /** Batch whose gradients overflow. */
  readonly overflows?: number;
  readonly abortAt?: number;
  /** Steps, default 2. */
  readonly saveEvery?: number;
}

/** Runs to their end. */
export const scenarios: readonly Scenario[] = [
  { what: 'the defaults' },
  { what: 'two batches a step, the last of an epoch alone', gradientAccumulationSteps: 2, maxTrainSteps: 7 },
  { what: 'three batches a step, clipped', gradientAccumulationSteps: 3, maxGradNorm: 0.5, maxTrainSteps: 5 },
  { what: 'clipping', maxGradNorm: 0.5 },
  { what: 'a limit that is not reached', maxGradNorm: 1e6 },
  { what: 'other arguments', args: { betas: [0.5, 0.9], eps: 1e-4, weight_decay: 0.3 } },
  { what: 'no weight decay', args: { weight_decay: 0 }, maxGradNorm: 1 },
  { what: 'a matrix without a rate', rates: [null, 1e-2], maxGradNorm: 0.5 },
  {
    what: 'matrices that are computed as one',
    modules: 9,
    joins: true,
    maxGradNorm: 0.5,
    gradientAccumulationSteps: 2,
  },
  { what: 'such matrices without a rate', modules: 3, joins: true, rates: [null, 1e-2] },
  { what: 'a loss scale', lossScale: true, gradientAccumulationSteps: 2, maxGradNorm: 1 },
  { what: 'an overflow of the loss scale', lossScale: true, maxTrainSteps: 4, overflows: 2 },
  { what: 'an end in the middle', abortAt: 3, gradientAccumulationSteps: 2 },
];

/** Runs that end because of a number, with the code of their error. */
export const faults: readonly (Scenario & { readonly code: string })[] = [
  { what: 'the first loss', code: 'NON_FINITE_LOSS', scale: () => NaN },
  { what: 'a later loss', code: 'NON_FINITE_LOSS', scale: (batch: number) => (batch === 3 ? 1e30 : 1) },
  {
    what: 'the second loss, after a save',
    code: 'NON_FINITE_LOSS',
    saveEvery: 1,
    scale: (batch: number) => (batch === 2 ? NaN : 1),
  },
  {
    what: 'the loss of a second batch',
    code: 'NON_FINITE_LOSS',
    gradientAccumulationSteps: 2,
    scale: (batch: number) => (batch === 4 ? NaN : 1),
  },
  { what: 'a gradient', code: 'NON_FINITE_GRADIENT', overflows: 3 },
  { what: 'a gradient of two batches', code: 'NON_FINITE_GRADIENT', overflows: 3, gradientAccumulationSteps: 2 },
  { what: 'the weights after a step', code: 'NON_FINITE_WEIGHTS', rates: [1e39, 1e39] },
  { what: 'the loss after a step that ruined the weights', code: 'NON_FINITE_LOSS', rates: [1e25, 1e25] },
].map((fault) => ({ maxGradNorm: 1, ...fault }));

/** What came of a run. */
export interface Seen {
  readonly calls: readonly string[];
  readonly losses: readonly number[];
  readonly norms: readonly (number | null)[];
  /** All weights at each call of a hook that saves. */
  readonly saved: readonly (readonly number[])[];
  readonly weights: readonly number[];
  readonly state: ReturnType<Optimizer['state']>;
  /** The result, or the error. */
  readonly outcome: unknown;
}

export interface Watch {
  readonly afterBatch?: () => void;
  /** The run is over, its sessions are open. */
  readonly atEnd?: (outcome: unknown) => void;
}

/** @param runtime one whose outputs stay on a device; null: on the host, in JavaScript alone */
export async function play(scenario: Scenario, runtime: Runtime | null, watch: Watch = {}): Promise<Seen> {
  const { training, groups, graph } = makeRun(scenario);
  const seen = {
    calls: [] as string[],
    losses: [] as number[],
    norms: [] as (number | null)[],
    saved: [] as number[][],
  };
  const open = async (on: Runtime) => {
    const keepOnDevice = training.parameters.map(({ name }) => gradientName(name));
    const session = await on.createSession({ label: 'training_model', model: encodeModel(graph), keepOnDevice });
    const adamw = { ...adamwGraphOptions('AdamW', scenario.args)!, joinsParameters: scenario.joins ?? false };
    const run = (feeds: Parameters<typeof session.runOnDevice>[0]) => session.runOnDevice(feeds);
    const { weights, close } = await openDeviceWeights({ runtime: on, run, training, groups, adamw });
    return { weights, close: async () => void (await Promise.all([close(), session.release()])) };
  };
  const opened = runtime ? await open(runtime) : null;
  const weightsNow = () => training.parameters.flatMap(({ data }) => [...data]);
  const controller = new AbortController();
  const save = async (call: string) => {
    await opened?.weights.toHost();
    seen.calls.push(call);
    seen.saved.push(weightsNow());
  };
  const hooks: TrainingHooks = {
    signal: controller.signal,
    onStep: async ({ step }) => (step % (scenario.saveEvery ?? 2) === 0 ? save(`step ${step}`) : undefined),
    onEpochEnd: async ({ step, epoch }) => save(`end of ${epoch} at ${step}`),
    onFailure: async ({ step, epoch }) => save(`failed at ${step} in ${epoch}`),
    onSkippedStep: ({ step }, lossScale) => seen.calls.push(`left out ${step}, ${lossScale}`),
    onBatch: ({ loss, gradientNorm, microStep }) => {
      seen.losses.push(loss);
      seen.norms.push(gradientNorm);
      watch.afterBatch?.();
      if (microStep === scenario.abortAt) controller.abort();
    },
  };
  try {
    const result = train({ ...training, hooks, ...(opened ? { weights: opened.weights } : {}) });
    const outcome = await result.catch((error: unknown) => error);
    watch.atEnd?.(outcome);
    return { ...seen, weights: weightsNow(), state: training.optimizer.state(), outcome };
  } finally {
    await opened?.close();
  }
}

const numbers = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));

const targetOf = (parameter: string): string => `target/${parameter}`;

/** The loss of a batch is half the squared distance of all matrices to targets of its own. */
function makeRun(scenario: Scenario) {
  const { modules = 1, rates = [1e-2, 4e-2], scale = () => 1, lossScale = false, overflows, args } = scenario;
  const { stepsBefore = 0 } = scenario;
  const each = Array.from({ length: modules }, (_, k) => k);
  const down = each.map((k) => ({ name: `${k}.lora_down.weight`, shape: [2, 3], data: numbers(6, 1 + k) }));
  const up = each.map((k) => ({ name: `${k}.lora_up.weight`, shape: [4 + k, 2], data: new Float32Array(8 + 2 * k) }));
  const parameters = each.flatMap((k) => [down[k]!, up[k]!]);
  const groups = [down, up].flatMap((some, i) => {
    const learningRate = rates[i] ?? null;
    return learningRate === null ? [] : [{ name: some[0]!.name, learningRate, parameters: some }];
  });
  const optimizer = createOptimizer('AdamW', groups, args);
  const fresh = optimizer.state();
  const tensors = Array.from(fresh.tensors, ([key, { shape, data }], i) => {
    return [key, { shape, data: numbers(data.length, 100 + i).map((x) => stepsBefore && 0.1 * x * x) }] as const;
  });
  optimizer.restore({ ...fresh, numbers: { step: stepsBefore }, tensors: new Map(tensors) });
  const { run: fake } = fakeRun({ batchesPerEpoch: 5, maxTrainSteps: 6, ...scenario });
  let batch = 0;
  const training: TrainingRun = {
    ...fake,
    parameters,
    optimizer,
    learningRates: (step) => groups.map(({ learningRate }) => learningRate / (1 + step / 4)),
    prepare: () => {
      batch++;
      const targets = parameters.map(({ name, shape, data }, i) => [
        targetOf(name),
        { dtype: 'float32', shape, data: numbers(data.length, 10 * batch + i) } as const,
      ]);
      const feeds = { scale: scalar(scale(batch)), overflow: scalar(batch === overflows ? Infinity : 1) };
      return {
        feeds: { ...feeds, ...Object.fromEntries(targets) },
        timesteps: Float32Array.of(500),
        isHighNoise: false,
      };
    },
    run: async (feeds) => computeOnHost(parameters, feeds),
    ...(lossScale ? { lossScale: createLossScale() } : {}),
  };
  return { training, groups, graph: lossGraph(parameters, lossScale) };
}

type Matrices = readonly { readonly name: string; readonly shape: readonly number[] }[];

const scalar = (value: number): HostTensor => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) });

function computeOnHost(parameters: Matrices, feeds: Readonly<Record<string, HostTensor>>) {
  const number = (name: string) => Number(feeds[name]?.data[0] ?? 1);
  const valuesOf = (name: string) => feeds[name]!.data as Float32Array;
  const outputs: Record<string, HostTensor> = {};
  let loss = 0;
  for (const { name, shape } of parameters) {
    const target = valuesOf(targetOf(name));
    const differences = valuesOf(name).map((w, k) => Math.fround(w - target[k]!) * number('scale'));
    loss += differences.reduce((sum, d) => sum + (d * d) / 2, 0);
    const data = differences.map((d) => d * number('overflow') * number('loss_scale'));
    outputs[gradientName(name)] = { dtype: 'float32', shape, data };
  }
  return { ...outputs, loss: scalar(loss) };
}

/** The same for sessions. */
function lossGraph(parameters: Matrices, takesScale: boolean): Graph {
  const graph = new Graph('distances');
  const [scale, overflow] = [graph.input('scale', 'float32', []), graph.input('overflow', 'float32', [])];
  const factor = takesScale ? mul(overflow, graph.input('loss_scale', 'float32', [1])) : overflow;
  const losses = parameters.map(({ name, shape }) => {
    const weight = graph.input(name, 'float32', shape);
    const difference = mul(sub(weight, graph.input(targetOf(name), 'float32', shape)), scale);
    graph.output(gradientName(name), mul(difference, factor));
    return mul(reduceSum(mul(difference, difference), [0, 1], false), 0.5);
  });
  graph.output('loss', losses.reduce(add));
  return graph;
}
