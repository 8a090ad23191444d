import { InferenceSession, Tensor, env } from 'onnxruntime-node';

import type { Graph } from '../src/index.ts';
import type { Tensor64 } from './interpreter/index.ts';

import { encodeModel } from '../src/index.ts';
import { fromHost, toHost } from './interpreter/index.ts';

/** Whether it is the build for WebAssembly, with which these tests run in browsers. */
export const isWebBuild = 'web' in env.versions;

/** Runs a graph on ONNX Runtime's CPU provider. Throws where an output has another dtype than the builder inferred. */
export async function runOnRuntime(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor64>>,
): Promise<Record<string, Tensor64>> {
  const session = await InferenceSession.create(encodeModel(graph), { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const tensors = graph.inputs.map(({ name, dtype }) => {
      const { shape, data } = toHost(feeds[name] ?? { shape: [], data: new Float64Array() }, dtype);
      return [name, new Tensor(dtype as 'float32', data as Float32Array, shape)];
    });
    const results = await session.run(Object.fromEntries(tensors) as Record<string, Tensor>);
    const outputs = graph.outputs.map(({ name, value: { dtype } }) => {
      const result = results[name];
      if (result?.type !== dtype) throw new RangeError(`${name} is ${result?.type}, the graph says ${dtype}`);
      return [name, fromHost({ dtype, shape: result.dims, data: result.data as Float32Array })];
    });
    return Object.fromEntries(outputs) as Record<string, Tensor64>;
  } finally {
    await session.release();
  }
}
