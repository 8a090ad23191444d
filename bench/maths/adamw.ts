import { createOptimizer } from '../../packages/optimizers/src/index.ts';
import { type Figure, measure } from '../harness.ts';

/** Four streams read (parameter, gradient, two moments), three written, four bytes each. */
const bytesAParameter = 28;

/** AdamW on one core, beside how fast the memory can be copied in the same run. */
export async function adamwFigures(parameters = 8_000_000): Promise<Figure[]> {
  const weight = { name: 'weight', data: new Float32Array(parameters).fill(0.1), shape: [parameters] };
  const optimizer = createOptimizer('AdamW', [{ name: 'unet', learningRate: 1e-4, parameters: [weight] }]);
  const gradients = new Map([['weight', Float32Array.from({ length: parameters }, (_, i) => Math.sin(i) * 1e-3)]]);
  const step = await measure(() => optimizer.step(gradients, [1e-4]));

  const [from, to] = [new Float32Array(parameters).fill(1), new Float32Array(parameters)];
  const copy = await measure(() => to.set(from));
  const bandwidth = (8 * parameters) / copy.median; // read and written
  const used = (bytesAParameter * parameters) / step.median;
  return [
    { name: 'adamw_ns', value: (step.median * 1e9) / parameters, unit: 'ns a parameter' },
    { name: 'memory_copy_gb_s', value: bandwidth / 1e9, unit: 'GB/s' },
    { name: 'adamw_bandwidth_fraction', value: used / bandwidth, unit: 'x', atLeast: 0.5 },
  ];
}
