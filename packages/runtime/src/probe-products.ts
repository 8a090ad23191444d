import type { ProductDtype } from '@musubi/onnx-graph';

import type { Runtime } from './types.ts';

import { judge, smallModel } from './small-model.ts';

/** What became of a small model whose matrix product has some number type. */
export interface ProductsProbe {
  /** `fails`: `reason` says why; `differs`: its numbers are wrong. */
  readonly state: 'works' | 'fails' | 'differs';
  readonly reason: string | null;
}

/**
 * Runs a small model with a matrix product in this number type on a runtime, and compares its numbers. Where that is one for
 * WebGPU, no node may be left to the CPU, and a card without 16-bit floats is not tried with float16.
 */
export async function probeProducts(runtime: Runtime, products: ProductDtype): Promise<ProductsProbe> {
  const { device, webGpu } = runtime.info;
  if (products === 'float16' && webGpu?.float16 === false) {
    return { state: 'fails', reason: 'this graphics card, or the browser, has no shader-f16' };
  }
  const { model, x, expected } = smallModel(products);
  try {
    const session = await runtime.createSession({ model, label: 'probe', onDeviceOnly: device === 'webgpu' });
    try {
      const { y } = await session.run({ x });
      const { state, reason } = judge((y?.data ?? []) as ArrayLike<number>, expected, products);
      return { state, reason };
    } finally {
      await session.release();
    }
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { state: 'fails', reason };
  }
}
