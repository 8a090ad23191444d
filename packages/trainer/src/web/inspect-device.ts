import type { Runtime } from '@musubi/runtime';
import type { SafetensorsDtype } from '@musubi/safetensors';

import { Graph, cast, encodeModel } from '@musubi/onnx-graph';

/** What a page computes on. */
export interface WebDevice {
  readonly provider: 'wasm' | 'webgpu';
  /** Types of weights for which it has no kernels. */
  readonly unknown: ReadonlySet<SafetensorsDtype>;
}

/**
 * Finds out what weights a device knows. Shaders compute with float16 on some graphics cards only, and of onnxruntime-web's
 * builds `/wasm` has bfloat16 and integers of 16 bits, `/webgpu` has neither, on the CPU as well.
 */
export async function inspectDevice(runtime: Runtime): Promise<WebDevice> {
  if (runtime.info.device === 'webgpu') return { provider: 'webgpu', unknown: new Set(['BF16', 'F16']) };
  const graph = new Graph('types');
  const x = graph.input('x', 'float32', [1]);
  for (const dtype of ['bfloat16', 'int16'] as const) graph.output(dtype, cast(cast(x, dtype), 'float32'));
  try {
    const session = await runtime.createSession({ label: 'types', model: encodeModel(graph) });
    await session.release();
    return { provider: 'wasm', unknown: new Set() };
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    return { provider: 'wasm', unknown: new Set(['BF16']) };
  }
}

const isUnsupported = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'OPERATOR_UNSUPPORTED';
