import type { TrainingBatch } from '@musubi/dataset';
import type { LoraAdapter } from '@musubi/lora';
import type { ResolvedWeights, WanConfig } from '@musubi/models';
import type { Graph, HostTensor } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

import { basename, dirname } from 'node:path';

import { encodeModel } from '@musubi/onnx-graph';
import { loraFeeds } from '@musubi/lora/graph';
import { resolveWeights, wan } from '@musubi/models';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import type { WanCase } from '../../models/tests/wan-cases.ts';

import { microBatchFeeds } from '../src/index.ts';

export interface OpenModel extends ResolvedWeights<WanConfig> {
  readonly folder: string;
  close(): Promise<void>;
}

export async function openModel({ task, configuration }: WanCase, checkpoint: string): Promise<OpenModel> {
  const store = await openSafetensorsFile(checkpoint);
  const model = resolveWeights(store, wan, { task, modelConfig: configuration });
  return { ...model, folder: dirname(checkpoint), close: () => store.close() };
}

export const locate = (file: string): string => basename(file);

/** Runs a graph on the CPU, its weights left in their file. */
export async function openSession(graph: Graph, folder: string) {
  const session = await InferenceSession.create(encodeModel(graph), {
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'basic',
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  return {
    release: () => session.release(),
    async run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>> {
      const wanted = new Set(session.inputNames);
      const tensors = Object.entries(feeds).flatMap(([name, { data, shape }]): [string, Tensor][] =>
        wanted.has(name) ? [[name, new Tensor('float32', data as Float32Array, shape)]] : [],
      );
      const results = await session.run(Object.fromEntries(tensors));
      return Object.fromEntries(
        Object.entries(results).map(([name, { data, dims }]) => [
          name,
          { dtype: 'float32', shape: dims, data: data as Float32Array },
        ]),
      );
    },
  };
}

/** A batch whose contents stand in a golden file under `prefix`, e.g. `batch.` or `batch.0.`. */
export async function readBatch(store: TensorStore, prefix: string): Promise<TrainingBatch> {
  const tensor = async (name: string) => {
    const { dtype = 'F32', shape = [] } = store.tensors.get(name) ?? {};
    return { dtype, shape, data: await store.readFloat32(name) };
  };
  const texts = [...store.tensors.keys()]
    .filter((name) => name.startsWith(`${prefix}t5.`))
    .toSorted((a, b) => Number(a.split('.').at(-1)) - Number(b.split('.').at(-1)));
  const latents = await tensor(`${prefix}latents`);
  const items = Array.from({ length: latents.shape[0] ?? 0 }, (_, i) => `item ${i}`);
  return {
    datasetIndex: 0,
    bucket: [],
    bucketKey: [],
    items: items.map((key) => ({ key, latentCache: key, textCache: key, bucketKey: [] })),
    stacked: new Map([['latents', latents]]),
    lists: new Map([['t5', await Promise.all(texts.map(tensor))]]),
    timesteps: null,
  };
}

/** Feeds of the training graph for recorded noise and noise levels. */
export function recordedFeeds(
  model: ResolvedWeights<WanConfig>,
  batch: TrainingBatch,
  noise: Float32Array,
  t: Float32Array,
  adapter: LoraAdapter,
): Record<string, HostTensor> {
  const timesteps = t.map((x) => Math.fround(Math.fround(1000 * x) + 1));
  const options = { architecture: wan, config: model.config, weightingScheme: 'none' };
  return { ...microBatchFeeds(batch, noise, t, timesteps, options), ...loraFeeds(adapter) };
}
