import type { Graph as GraphType, HostTensor } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

import { basename, dirname } from 'node:path';

import { Graph, createParams, encodeModel, fuseProducts, gateWeights } from '@musubi/onnx-graph';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import type { TextEncoder } from '../src/index.ts';

import { resolveWeights } from '../src/index.ts';

/** The graph of an encoder as it is run, on the weights of one file. */
export function encoderGraph<Config>(
  encoder: TextEncoder<Config>,
  store: Pick<TensorStore, 'tensors' | 'metadata'>,
  outputs: (graph: GraphType) => void = () => {},
): { config: Config; graph: GraphType } {
  const { config, source } = resolveWeights(store, encoder);
  const graph = new Graph('encoder');
  const params = createParams(
    graph,
    source((file) => basename(file)),
  );
  graph.output('embeddings', encoder.build(params, config).embeddings);
  outputs(graph);
  return { config, graph: gateWeights(fuseProducts(graph)) };
}

/** Runs a graph on the CPU with its weights left in a file. */
export async function runGraph(
  graph: GraphType,
  checkpoint: string,
  feeds: Readonly<Record<string, HostTensor>>,
): Promise<Record<string, HostTensor>> {
  const session = await InferenceSession.create(encodeModel(graph), sessionOptions(dirname(checkpoint)));
  const results = await session.run(toTensors(feeds));
  await session.release();
  return toHost(results);
}

/** One thread, and weights that stay in their file. */
export const sessionOptions = (externalDataFolder: string): InferenceSession.SessionOptions => ({
  intraOpNumThreads: 1,
  logSeverityLevel: 3,
  extra: {
    session: { model_external_initializers_file_folder_path: externalDataFolder, disable_prepacking: '1' },
    optimization: { disable_specified_optimizers: 'ConstantFolding' },
  },
});

export function toTensors(feeds: Readonly<Record<string, HostTensor>>): Record<string, Tensor> {
  const tensors = Object.entries(feeds).map(([name, { dtype, data, shape }]): [string, Tensor] => [
    name,
    dtype === 'int64'
      ? new Tensor('int64', data as BigInt64Array, shape)
      : new Tensor('float32', data as Float32Array, shape),
  ]);
  return Object.fromEntries(tensors);
}

export function toHost(results: Readonly<Record<string, Tensor>>): Record<string, HostTensor> {
  return Object.fromEntries(
    Object.entries(results).map(([name, { dims, data }]) => [
      name,
      { dtype: 'float32', shape: dims, data: data as Float32Array },
    ]),
  );
}
