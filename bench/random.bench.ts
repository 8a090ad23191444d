import { TorchGenerator } from '../packages/random/src/index.ts';
import { measure, type Bench } from './harness.ts';

const values = 1_000_000;

export const bench: Bench = {
  title: `${values} uniform and normal values from a seeded TorchGenerator, median of 7`,
  async run() {
    const generator = new TorchGenerator(42);
    const uniform = await measure(() => generator.rand(values));
    const normal = await measure(() => generator.randn(values));
    return [
      { name: 'rand_ns', value: (uniform.median * 1e9) / values, unit: 'ns a value' },
      { name: 'randn_ns', value: (normal.median * 1e9) / values, unit: 'ns a value' },
    ];
  },
};
