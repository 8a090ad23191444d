import type { HostTensor } from '@musubi/onnx-graph';
import type { Optimizer, OptimizerState } from '@musubi/optimizers';
import type { DeviceRun, DeviceTensor, Feed } from '@musubi/runtime';

import { gradientName } from '@musubi/autodiff';
import {
  type AdamwGraphOptions,
  type AdamwMoments,
  adamwFactors,
  adamwGraphNames as names,
  gradientSumNames as sums,
} from '@musubi/optimizers/graph';

import type { RunPosition, TrainableParameter, TrainingRun } from './train.ts';
import type { TrainedWeights } from './trained-weights.ts';

import { lossScaleInput } from './loss-scale.ts';

/** Runs a graph whose results stay on the device. */
export type RunOnDevice = (feeds: Readonly<Record<string, Feed>>) => Promise<DeviceRun>;

export interface DeviceWeightsOptions {
  /** The training graph, of two models the one for high or low noise: gives `loss`, keeps the gradients. */
  readonly run: (feeds: Readonly<Record<string, Feed>>, isHighNoise: boolean) => Promise<DeviceRun>;
  /**
   * `adamwGraph` with factors as inputs, scaled gradients and the sum of the weights: gives that and the norm, keeps all
   * else.
   */
  readonly takeStep: RunOnDevice;
  /** `gradientSumGraph`, for steps of several batches. */
  readonly addGradients: RunOnDevice;
  /** Options of that graph. */
  readonly adamw: AdamwGraphOptions;
  /** Of that graph. */
  readonly moments: readonly AdamwMoments[];
  /** Parameters that the optimizer knows, whose moments come from it, and go back at the end. */
  readonly trained: readonly Pick<TrainableParameter, 'name'>[];
  readonly training: Pick<TrainingRun, 'parameters' | 'gradientAccumulationSteps' | 'lossScale'> & {
    readonly optimizer: Pick<Optimizer, 'className' | 'state' | 'restore'>;
  };
}

/** Tensors by the names of parameters or moments, all on the device, or host tensors that the next run takes there. */
type Tensors<T extends Feed = Feed> = ReadonlyMap<string, T>;

/** Both moments of AdamW, by their names in `AdamwMoments`. */
interface Moments {
  readonly first: Tensors;
  readonly second: Tensors;
}

/**
 * Weights, gradients and moments on the device: of a batch only its data and its loss cross, of a step the norm of the
 * gradients and the sum of the weights. AdamW alone, which goes on from what the optimizer remembers.
 *
 * A step makes new tensors. The weights before it are kept, not copied, until a batch gave a finite loss with the new ones.
 */
export function deviceWeights(options: DeviceWeightsOptions): TrainedWeights {
  const { run, takeStep, addGradients, adamw, training, trained } = options;
  const { parameters, optimizer, gradientAccumulationSteps, lossScale } = training;
  const all = parameters.map(({ name }) => name);
  const allMoments = options.moments.map(({ name }) => name);
  // the arrays of the adapter are written when it is saved; these values may be needed after that
  let weights: Tensors = copies(parameters);
  let before: Tensors | null = null;
  const { tensors: known, numbers } = optimizer.state();
  let moments: Moments = {
    first: rememberedMoments(known, options.moments, names.firstMoment),
    second: rememberedMoments(known, options.moments, names.secondMoment),
  };
  let gradients: Tensors<DeviceTensor> | null = null;
  let confirmed: RunPosition | null = null;
  let steps = numbers['step'] ?? 0;
  let isOnHost = true;

  async function addToGradients(found: Tensors<DeviceTensor>): Promise<Tensors<DeviceTensor>> {
    if (!gradients) return found;
    const feeds = [...named(gradients, sums.sum), ...named(found, sums.gradient)];
    const { kept } = await addGradients(Object.fromEntries(feeds));
    await release(gradients, found);
    return pick(kept, all, sums.updated);
  }

  const scaleFeeds = (): Record<string, HostTensor> =>
    lossScale ? { [lossScaleInput]: { dtype: 'float32', shape: [1], data: Float32Array.of(lossScale.value) } } : {};

  async function toHost(): Promise<void> {
    if (isOnHost) return;
    await read(weights, parameters);
    isOnHost = true;
  }

  return {
    async addBatch(feeds, isHighNoise) {
      const { outputs, kept } = await run({ ...feeds, ...Object.fromEntries(weights), ...scaleFeeds() }, isHighNoise);
      const loss = numberOf(outputs, 'loss');
      const found = pick(kept, all, gradientName);
      if (Number.isFinite(loss)) gradients = await addToGradients(found);
      else await release(found);
      return loss;
    },

    async confirm(at) {
      confirmed = at;
      if (before) await release(before);
      before = null;
    },

    async step(learningRates) {
      if (!gradients) throw new Error('internal: a step without a batch.');
      const { outputs, kept } = await takeStep({
        ...scalars(adamwFactors(steps + 1, learningRates, adamw)),
        ...scalars({ gradient_scale: 1 / (gradientAccumulationSteps * (lossScale?.value ?? 1)) }),
        ...Object.fromEntries([
          ...weights,
          ...named(gradients, names.gradient),
          ...named(moments.first, names.firstMoment),
          ...named(moments.second, names.secondMoment),
        ]),
      });
      const gradientNorm = numberOf(outputs, 'gradient_norm');
      const after = pick(kept, all, names.updated);
      const first = pick(kept, allMoments, (name) => names.updated(names.firstMoment(name)));
      const second = pick(kept, allMoments, (name) => names.updated(names.secondMoment(name)));
      await release(gradients);
      gradients = null;
      const isFinite = Number.isFinite(gradientNorm);
      const goesOn = lossScale?.update(isFinite) ?? isFinite;
      if (!isFinite) {
        await release(after, first, second);
        return { kind: goesOn ? 'left-out' : 'bad-gradient', gradientNorm };
      }
      steps++;
      await release(moments.first, moments.second);
      [before, weights, moments, isOnHost] = [weights, after, { first, second }, false];
      const areFinite = Number.isFinite(numberOf(outputs, 'weight_sum'));
      return { kind: areFinite ? 'taken' : 'bad-weights', gradientNorm };
    },

    async restore() {
      if (!confirmed || !before) return confirmed;
      await release(weights);
      [weights, before, isOnHost] = [before, null, false];
      return confirmed;
    },

    toHost,

    async end() {
      await toHost();
      if (before) await release(before);
      before = null;
      if (steps === 0) return;
      const inGroups = new Set(trained.map(({ name }) => name));
      const tensors = [
        ...(await momentsOf(moments.first, options.moments, inGroups, names.firstMoment)),
        ...(await momentsOf(moments.second, options.moments, inGroups, names.secondMoment)),
      ];
      optimizer.restore({
        className: optimizer.className,
        numbers: { step: steps },
        tensors: new Map(tensors),
        codes: new Map(),
      });
    },
  };
}

const copies = (parameters: readonly TrainableParameter[]): Tensors<HostTensor> =>
  new Map(parameters.map(({ name, shape, data }) => [name, { dtype: 'float32', shape, data: data.slice() }]));

/** Of the optimizer's state; zeros of parameters that it does not know. */
function rememberedMoments(
  known: OptimizerState['tensors'],
  moments: readonly AdamwMoments[],
  keyOf: (parameter: string) => string,
): Tensors<HostTensor> {
  const start = ({ shape, parameters }: AdamwMoments): HostTensor => {
    const data = new Float32Array(size(shape));
    let at = 0;
    for (const parameter of parameters) {
      data.set(known.get(keyOf(parameter.name))?.data ?? [], at);
      at += size(parameter.shape);
    }
    return { dtype: 'float32', shape, data };
  };
  return new Map(moments.map((one) => [one.name, start(one)]));
}

const size = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** Under the names of a graph's inputs. */
const named = <T extends Feed>(tensors: Tensors<T>, nameOf: (parameter: string) => string): [string, T][] =>
  Array.from(tensors, ([name, tensor]) => [nameOf(name), tensor]);

const scalars = (numbers: Readonly<Record<string, number>>): Record<string, HostTensor> =>
  Object.fromEntries(
    Object.entries(numbers).map(([name, x]) => [name, { dtype: 'float32', shape: [], data: Float32Array.of(x) }]),
  );

function pick(
  kept: Readonly<Record<string, DeviceTensor>>,
  parameters: readonly string[],
  outputOf: (parameter: string) => string,
): Tensors<DeviceTensor> {
  return new Map(
    parameters.map((name) => {
      const tensor = kept[outputOf(name)];
      if (tensor) return [name, tensor];
      throw new Error(`internal: ${outputOf(name)} did not stay on the device.`);
    }),
  );
}

function numberOf(outputs: Readonly<Record<string, HostTensor>>, name: string): number {
  return Number(outputs[name]?.data[0]);
}

/** In one turn, so that it takes one message to the worker. */
async function release(...sets: readonly Tensors[]): Promise<void> {
  const tensors = sets.flatMap((set) => [...set.values()]);
  await Promise.all(tensors.map((tensor) => ('data' in tensor ? undefined : tensor.release())));
}

async function dataOf(tensor: Feed): Promise<HostTensor['data']> {
  return 'data' in tensor ? tensor.data : (await tensor.read()).data;
}

/** Writes them into the arrays of the parameters. */
async function read(tensors: Tensors, parameters: readonly TrainableParameter[]): Promise<void> {
  const found = await Promise.all(parameters.map(async ({ name }) => dataOf(tensors.get(name)!)));
  // all or none: a device that is lost leaves the arrays as they were
  parameters.forEach(({ data }, i) => data.set(found[i] as Float32Array));
}

/** Of each parameter that is known, by its key in the optimizer's state. */
async function momentsOf(
  tensors: Tensors,
  moments: readonly AdamwMoments[],
  known: ReadonlySet<string>,
  keyOf: (parameter: string) => string,
) {
  const found = await Promise.all(
    moments.map(async ({ name, parameters }) => {
      const data = (await dataOf(tensors.get(name)!)) as Float32Array;
      let end = 0;
      return parameters.map((one) => ({ ...one, data: data.slice(end, (end += size(one.shape))) }));
    }),
  );
  return found
    .flat()
    .filter(({ name }) => known.has(name))
    .map(({ name, shape, data }) => [keyOf(name), { shape, data }] as const);
}
