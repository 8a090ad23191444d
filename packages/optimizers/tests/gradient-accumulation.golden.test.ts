import { expect, test } from 'vitest';

import { readGoldenJson } from '../../../tests/golden.ts';
import { clipGradNorm, createOptimizer } from '../src/index.ts';
import { parseArguments } from './literals.ts';

interface Entry {
  loss: number;
  sync: boolean;
  total_norm: number | null;
  lr_used: number | null;
  weight: number[][];
  bias: number[];
}
interface Case {
  args: {
    gradient_accumulation_steps: number;
    batches_per_epoch: number;
    max_grad_norm: number;
    optimizer_type: string;
    optimizer_args: string[];
    learning_rate: number;
  };
  input: { x: number[][]; y: number[][]; weight: number[][]; bias: number[] };
  output: Entry[];
}

const { gradient_accumulation: cases } = readGoldenJson<{ gradient_accumulation: Case[] }>('maths', 'optimizers.json');

// Clipping and steps in the order of a training loop, on a linear model whose gradient is known.
test.each(cases)('accumulates over $args.gradient_accumulation_steps batches', ({ args, input, output }) => {
  const rows = input.weight.length;
  const columns = input.weight[0]!.length;
  const weight = Float32Array.from(input.weight.flat());
  const bias = Float32Array.from(input.bias);
  const parameters = [
    { name: 'weight', data: weight, shape: [rows, columns] },
    { name: 'bias', data: bias, shape: [rows] },
  ];
  const group = { name: 'unet', learningRate: args.learning_rate, parameters };
  const optimizer = createOptimizer(args.optimizer_type, [group], parseArguments(args.optimizer_args));
  const gradients = new Map(parameters.map(({ name, data }) => [name, new Float32Array(data.length)]));

  output.forEach((expected, k) => {
    const [x, y] = [input.x[k % args.batches_per_epoch]!, input.y[k % args.batches_per_epoch]!];
    const errors = y.map(
      (target, r) => bias[r]! + x.reduce((sum, value, c) => sum + weight[r * columns + c]! * value, 0) - target,
    );
    expect([errors.reduce((sum, e) => sum + (e * e) / rows, 0)]).toBeAllClose([expected.loss], { rtol: 1e-5 });

    const scale = 2 / rows / args.gradient_accumulation_steps;
    errors.forEach((e, r) => {
      gradients.get('bias')![r]! += scale * e;
      x.forEach((value, c) => (gradients.get('weight')![r * columns + c]! += scale * e * value));
    });
    if (expected.sync) {
      const norm = clipGradNorm(gradients, args.max_grad_norm);
      expect([norm]).toBeAllClose([expected.total_norm!], { rtol: 1e-5 });
      optimizer.step(gradients, [expected.lr_used!]);
      for (const values of gradients.values()) values.fill(0);
    }
    expect(weight).toBeAllClose(expected.weight.flat(), { atol: 2e-6 });
    expect(bias).toBeAllClose(expected.bias, { atol: 2e-6 });
  });
});
