import { writeFile } from 'node:fs/promises';

import type { Runtime } from '../../packages/runtime/src/index.ts';
import type { Measured, PartRequest } from './request.ts';

import { Graph, add, cast, encodeModel, matmul, slice } from '../../packages/onnx-graph/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { fromFloat32 } from '../../packages/safetensors/src/index.ts';
import { median } from '../harness.ts';

const types = [
  ['float32', 'float32', 'F32'],
  ['fp16', 'float16', 'F16'],
  ['bf16', 'bfloat16', 'BF16'],
] as const;

/** What is the most that a step could get: square products one after another, nothing between them, nothing crossing the bus. */
export async function measureProducts({ device, isSmall }: PartRequest, runtime: Runtime): Promise<Measured> {
  const [width, count] = isSmall ? [256, 4] : device === 'cpu' ? [1024, 4] : [4096, 20];
  const numbers = new TorchGenerator(5).randn(width * width).map((x) => x / Math.sqrt(width));
  const measured: Record<string, number | string> = {};
  // The CPU computes neither of the 16-bit types.
  for (const [name, dtype, stored] of device === 'cpu' ? types.slice(0, 1) : types) {
    const bytes = fromFloat32(numbers, stored);
    await writeFile(name, bytes);
    const graph = new Graph('products');
    const start = graph.input('start', 'float32', [1, 1]);
    const matrix = graph.external('matrix', dtype, [width, width], { location: name, offset: 0, length: bytes.length });
    let x = add(matrix, cast(start, dtype));
    for (let i = 0; i < count; i++) x = matmul(x, matrix);
    graph.output('last', cast(slice(slice(x, 0, 0, 1), 1, 0, 1), 'float32'));
    try {
      const request = { model: encodeModel(graph), externalDataFolder: process.cwd(), providers: [device] };
      const session = await runtime.createSession(request);
      const feeds = { start: { dtype: 'float32', shape: [1, 1], data: Float32Array.of(0) } } as const;
      const seconds: number[] = [];
      for (let round = 0; round <= 5; round++) {
        const before = performance.now();
        await session.run(feeds);
        if (round > 0) seconds.push((performance.now() - before) / 1000); // the first round warms up
      }
      await session.release();
      measured[`products_${name}_gflops`] = (2 * width ** 3 * count) / 1e9 / median(seconds);
    } catch (error) {
      measured[`failed_products_${name}`] = error instanceof Error ? error.message : String(error);
    }
  }
  return measured;
}
