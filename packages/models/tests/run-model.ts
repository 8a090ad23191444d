import type { HostTensor, Value } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

import { basename, dirname } from 'node:path';

import { Graph, createParams, encodeModel } from '@musubi/onnx-graph';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import type { Architecture, ConfigHints, ModelBatch } from '../src/index.ts';

import { resolveWeights } from '../src/index.ts';

export interface LoadedModel<Config> {
  readonly config: Config;
  /** Prediction in latent layout `[B, C, F, H, W]`, and the values asked for by module. */
  run(
    batch: ModelBatch,
    modules?: readonly string[],
  ): Promise<{ prediction: HostTensor; modules: Map<string, HostTensor> }>;
  close(): Promise<void>;
}

/** Builds the forward graph on a checkpoint, to be run by ONNX Runtime on the CPU with the weights left in the file. */
export async function loadModel<Config>(
  architecture: Architecture<Config>,
  checkpoint: string,
  hints: ConfigHints,
): Promise<LoadedModel<Config>> {
  const store: TensorStore = await openSafetensorsFile(checkpoint);
  const { config, source } = resolveWeights(store, architecture, hints);
  return {
    config,
    close: () => store.close(),
    async run(batch, modules = []) {
      const graph = new Graph('forward');
      const { prediction } = architecture.build(
        createParams(
          graph,
          source((file) => basename(file)),
        ),
        config,
      );
      graph.output('prediction', prediction);
      for (const module of modules) graph.output(`module ${module}`, outputOf(graph, module));

      const session = await InferenceSession.create(encodeModel(graph), {
        intraOpNumThreads: 1,
        logSeverityLevel: 3,
        extra: { session: { model_external_initializers_file_folder_path: dirname(checkpoint) } },
      });
      const feeds = Object.entries(architecture.prepare(config, batch)).map(([name, { data, shape }]) => [
        name,
        new Tensor('float32', data as Float32Array, shape),
      ]);
      const results = await session.run(Object.fromEntries(feeds));
      await session.release();

      const read = (name: string): HostTensor => {
        const { data, dims } = results[name] ?? new Tensor('float32', [], [0]);
        return { dtype: 'float32', shape: dims, data: data as Float32Array };
      };
      return {
        prediction: architecture.fromOutputTokens(config, read('prediction'), batch.noisyLatents.shape),
        modules: new Map(modules.map((module) => [module, read(`module ${module}`)])),
      };
    },
  };
}

/** What a module returns: the last value made in its scope, e.g. of `blocks.0.self_attn`. */
function outputOf(graph: Graph, module: string): Value {
  const scope = module.replace(/^(blocks\.\d+)\./, '$1/');
  const node = graph.nodes.findLast((n) => n.scope === scope || n.scope.startsWith(`${scope}/`));
  const value = node?.outputs[0];
  if (!value) throw new Error(`no node has the scope ${scope}`);
  return value;
}
