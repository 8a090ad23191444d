import type { Node, Value } from '@musubi/onnx-graph';

import {
  Graph,
  apply,
  createParams,
  exp,
  linear,
  mT,
  matmul,
  mul,
  nodesNeeded,
  reduceMean,
  softmax,
} from '@musubi/onnx-graph';
import { describe, expect, test } from 'vitest';

import { interpret, tensor } from '../../onnx-graph/tests/interpreter/index.ts';
import { blockOf, createTrainingGraphs, vjp } from './index.ts';

/** Blocks of a frozen Linear with a trained one beside it. */
function blocks(count: number, dtype: 'float32' | 'bfloat16' = 'float32'): Graph {
  const graph = new Graph(`${count} blocks`);
  const bytes = dtype === 'float32' ? 64 : 32;
  const params = createParams(graph, (name) =>
    name.endsWith('.weight')
      ? { dtype, shape: [4, 4], external: { location: 'w.bin', offset: 0, length: bytes } }
      : undefined,
  );
  let x: Value = graph.input('x', 'float32', ['B', 4]);
  for (let i = 0; i < count; i++) {
    const down = graph.input(`down.${i}`, 'float32', [4, 4]);
    x = graph.within(`blocks.${i}`, () => exp(mul(matmul(linear(x, params.at(`blocks.${i}`), 4, 4), mT(down)), 0.1)));
  }
  graph.output('loss', reduceMean(x, [0, 1], false));
  return graph;
}

const twoBlocks = (dtype?: 'float32' | 'bfloat16') => blocks(2, dtype);

const needed = (graph: Graph): Node[] => [...nodesNeeded(graph)];

const again = (graph: Graph, block: string): Node[] => graph.nodes.filter((n) => n.scope.startsWith(`again/${block}`));

describe('vjp', () => {
  test('adds up the uses of a value', () => {
    const graph = new Graph('square');
    const x = graph.input('x', 'float32', [2]);
    graph.output('loss', reduceMean(mul(mul(x, x), x), [0], false));
    const { graph: result, gradients } = vjp(graph, ['loss'], ['x']);
    gradients.forEach((g) => result.output('grad', g));

    const { grad } = interpret(result, { x: tensor([2], [2, -3]) });
    expect(grad?.data).toBeAllClose([6, 13.5], { rtol: 1e-12 }); // 3x²/2
  });

  test('leaves the graph that it is given as it is', () => {
    const graph = twoBlocks();
    const before = graph.nodes.length;
    vjp(graph, ['loss'], ['down.0']);
    expect(graph.nodes).toHaveLength(before);
    expect(graph.inputs.map((v) => v.name)).toEqual(['x', 'down.0', 'down.1']);
  });

  test('gives zeros for an input that the output does not depend on', () => {
    const graph = new Graph('apart');
    const [x, y] = [graph.input('x', 'float32', [2]), graph.input('y', 'float32', [3])];
    graph.output('loss', reduceMean(x, [0], false));
    graph.output('other', y);
    const { graph: result, gradients } = vjp(graph, ['loss'], ['y']);
    gradients.forEach((g) => result.output('grad', g));

    expect(interpret(result, { x: tensor([2], [1, 2]), y: tensor([3], [1, 2, 3]) })['grad']?.data).toEqual(
      new Float64Array(3),
    );
  });

  test('asks for the cotangent of an output that is not one number', () => {
    const graph = new Graph('vector');
    const x = graph.input('x', 'float32', ['B', 2]);
    graph.output('y', exp(x));
    expect(vjp(graph, ['y'], ['x']).graph.inputs.at(-1)).toMatchObject({ name: 'cotangent/y', shape: ['B', 2] });
  });

  test('differentiates only between the parameters and the loss', () => {
    const { graph, gradients } = vjp(twoBlocks(), ['loss'], ['down.1']);
    gradients.forEach((g, i) => graph.output(`grad ${i}`, g));
    // The gradient stops at the trained matrix of the second block: nothing of the first is differentiated.
    const scopes = needed(graph)
      .map((n) => n.scope)
      .filter((scope) => scope.startsWith('grad/'));
    expect(scopes.length).toBeGreaterThan(0);
    expect(scopes.filter((scope) => scope.includes('blocks.0'))).toEqual([]);
  });

  test('names node and block of an operator without a rule', () => {
    const graph = new Graph('no rule');
    const x = graph.input('x', 'float32', ['B', 2]);
    const y = graph.within('blocks.7/attn', () => apply('ReduceMax', [exp(x)], { keepdims: 0 }));
    graph.output('loss', y);

    expect(() => vjp(graph, ['loss'], ['x'])).toThrow(
      'blocks.7/attn/ReduceMax_1: operator ReduceMax in blocks.7 has no gradient rule. Add one to packages/autodiff/src/rules',
    );
  });

  test('an operator without a rule off the path is no obstacle', () => {
    const graph = new Graph('no rule off the path');
    const x = graph.input('x', 'float32', ['B', 2]);
    const scale = apply('ReduceMax', [graph.input('frozen', 'float32', ['B', 2])], { keepdims: 0 });
    graph.output('loss', reduceMean(mul(x, scale), [0, 1], false));
    expect(() => vjp(graph, ['loss'], ['x'])).not.toThrow();
  });

  test('names what is there when a name is not', () => {
    expect(() => vjp(twoBlocks(), ['los'], ['down.0'])).toThrow(
      'los: the graph has no output of this name. It has loss.',
    );
    expect(() => vjp(twoBlocks(), ['loss'], ['up'])).toThrow('It has x, down.0, down.1.');
  });
});

describe('training graphs', () => {
  test('refuse a loss that is not one number', () => {
    const graph = new Graph('vector');
    graph.output('loss', softmax(graph.input('x', 'float32', ['B', 2])));
    expect(() => createTrainingGraphs(graph, { loss: 'loss', trainable: ['x'] })).toThrow('the loss has shape [B, 2]');
  });

  test('recompute every block behind a gate, and nothing without checkpointing', () => {
    const options = { loss: 'loss', trainable: ['down.0', 'down.1'] };
    const plain = createTrainingGraphs(twoBlocks(), options).training;
    const { training } = createTrainingGraphs(twoBlocks(), { ...options, gradientCheckpointing: true });

    expect(plain.nodes.filter((n) => n.scope.startsWith('again/'))).toEqual([]);
    for (const block of ['blocks.0', 'blocks.1']) expect(again(training, block).length).toBeGreaterThan(0);
    // What enters the second block a second time waits for the gradient that arrives at its end.
    expect(again(training, 'blocks.1').some((n) => n.op === 'Slice')).toBe(true);
    expect(training.outputs.map((o) => o.name)).toEqual(['loss', 'grad/down.0', 'grad/down.1']);
  });

  test.each([
    [1, [0, 1, 2, 3, 4]],
    [2, [1, 3]],
    [3, [2]],
    [5, [0]],
    [6, []],
  ])('recompute one block of %i, and keep the last unless all are', (every, expected) => {
    const trainable = [0, 1, 2, 3, 4].map((i) => `down.${i}`);
    const checkpointing = { gradientCheckpointing: true, gradientCheckpointingEvery: every };
    const { training } = createTrainingGraphs(blocks(5), { loss: 'loss', trainable, ...checkpointing });
    expect([0, 1, 2, 3, 4].filter((i) => again(training, `blocks.${i}`).length > 0)).toEqual(expected);
  });

  test('recompute a block after the parameter gradients of all behind it, also of those that are kept', () => {
    const trainable = [0, 1, 2, 3, 4].map((i) => `down.${i}`);
    const checkpointing = { gradientCheckpointing: true, gradientCheckpointingEvery: 2 };
    const { training } = createTrainingGraphs(blocks(5), { loss: 'loss', trainable, ...checkpointing });
    const waitsFor = again(training, 'blocks.1').flatMap((n) => (n.op === 'Slice' ? (n.inputs[0]?.name ?? []) : []));
    // block 2 is kept, block 3 recomputed; block 4's was there before that
    expect(waitsFor).toEqual(expect.arrayContaining(['grad/down.2', 'grad/down.3'].map((name) => gradientOf(name))));
    expect(waitsFor).not.toContain(gradientOf('grad/down.4'));

    function gradientOf(name: string) {
      return training.outputs.find((output) => output.name === name)?.value.name;
    }
  });

  test('refuse to recompute every 0th block', () => {
    const options = { loss: 'loss', trainable: ['down.0'], gradientCheckpointing: true, gradientCheckpointingEvery: 0 };
    expect(() => createTrainingGraphs(twoBlocks(), options)).toThrow(
      'gradientCheckpointingEvery: 0 is no positive integer. Use 1 to recompute all blocks',
    );
  });

  test('widen a 16-bit weight behind a gate for each product that reads it', () => {
    const { training } = createTrainingGraphs(twoBlocks('bfloat16'), { loss: 'loss', trainable: ['down.0', 'down.1'] });
    const casts = training.nodes.filter((n) => n.op === 'Cast' && n.inputs[0]?.dtype === 'bfloat16');

    // forward twice, and backward through the second block; the first block's input is not trained
    expect(casts).toHaveLength(3);
    for (const node of casts) expect(node.inputs[0]?.producer?.op).toBe('Reshape');
  });

  test('blocks are the first parts of scopes that end in a number', () => {
    const graph = new Graph('scopes');
    const x = graph.input('x', 'float32', [2]);
    const scopes = ['blocks.3/attn', 'double_blocks.12', 'head', 'embed/mlp.0'];
    for (const scope of scopes) graph.within(scope, () => exp(x));
    expect(graph.nodes.map(blockOf)).toEqual(['blocks.3', 'double_blocks.12', undefined, undefined]);
  });
});
