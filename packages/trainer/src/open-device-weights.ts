import type { Graph } from '@musubi/onnx-graph';
import type { ParameterGroup } from '@musubi/optimizers';
import type { Runtime, Session } from '@musubi/runtime';

import { encodeModel } from '@musubi/onnx-graph';
import { type AdamwGraphOptions, adamwGraph, adamwMoments, gradientSumGraph } from '@musubi/optimizers/graph';

import type { TrainingRun } from './train.ts';
import type { TrainedWeights } from './trained-weights.ts';

import { type DeviceWeightsOptions, deviceWeights } from './device-weights.ts';

export interface OpenDeviceWeightsOptions {
  readonly runtime: Pick<Runtime, 'createSession'>;
  /** See {@link DeviceWeightsOptions}. */
  readonly run: DeviceWeightsOptions['run'];
  readonly training: TrainingRun;
  /** Parameters that share a rate; what is in none of them stays as it is. */
  readonly groups: readonly Pick<ParameterGroup, 'parameters'>[];
  readonly adamw: Pick<AdamwGraphOptions, 'betas' | 'eps' | 'weightDecay' | 'joinsParameters'>;
}

export interface OpenedDeviceWeights {
  readonly weights: TrainedWeights;
  /** Ends the sessions, and with them all that they have on the device. */
  close(): Promise<void>;
}

/** Creates the sessions that take the optimizer's step where the training graph keeps its gradients. */
export async function openDeviceWeights(options: OpenDeviceWeightsOptions): Promise<OpenedDeviceWeights> {
  const { runtime, run, training } = options;
  const { parameters, maxGradNorm, gradientAccumulationSteps: batches } = training;
  const form = { factorsAsInputs: true, scalesGradients: true, sumsWeights: true };
  const adamw: AdamwGraphOptions = { ...options.adamw, ...form, maxGradNorm };
  const trained = options.groups.flatMap(({ parameters: some }) => some);
  const grouped = new Set(trained.map(({ name }) => name));
  const fixed = parameters.filter(({ name }) => !grouped.has(name));
  const groups = fixed.length === 0 ? options.groups : [...options.groups, { parameters: fixed }];
  const sessions: Session[] = [];
  const close = async (): Promise<void> => {
    for (const session of sessions.splice(0)) await session.release();
  };
  const open = async (label: string, graph: Graph, givesBack: readonly string[] = []): Promise<Session> => {
    const keepOnDevice = graph.outputs.map(({ name }) => name).filter((name) => !givesBack.includes(name));
    const session = await runtime.createSession({ label, model: encodeModel(graph), keepOnDevice });
    sessions.push(session);
    return session;
  };
  try {
    const step = await open('optimizer_model', adamwGraph(groups, adamw), ['gradient_norm', 'weight_sum']);
    const sum = batches > 1 ? await open('gradient_sum', gradientSumGraph({ parameters })) : null;
    const opened = deviceWeights({
      run,
      takeStep: (feeds) => step.runOnDevice(feeds),
      addGradients: (feeds) => {
        if (sum) return sum.runOnDevice(feeds);
        throw new Error('internal: a second batch in a step of one.');
      },
      adamw,
      moments: adamwMoments(groups, adamw),
      training,
      trained,
    });
    const rates = (given: readonly number[]) => (fixed.length === 0 ? given : [...given, 0]);
    return { weights: { ...opened, step: (given) => opened.step(rates(given)) }, close };
  } catch (error) {
    await close();
    throw error;
  }
}
