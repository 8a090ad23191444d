import { describe, expect, test } from 'vitest';

import { Graph, add, gate, mergeEqualNodes, mul, sub, tanh } from '../src/index.ts';
import { interpret } from './interpreter/index.ts';
import { randomGraph } from './random-graph.ts';

const operatorsOf = (graph: Graph) => graph.nodes.map((n) => n.op);

describe('mergeEqualNodes', () => {
  test.each(Array.from({ length: 25 }, (_, i) => 200 + i))('computes what random graph %i computes', (seed) => {
    const { graph, feeds } = randomGraph(seed);
    expect(interpret(mergeEqualNodes(graph), feeds)).toEqual(interpret(graph, feeds));
  });

  test('leaves one of equal nodes, and of what is made of them', () => {
    const graph = new Graph('example');
    const x = graph.input('x', 'float32', ['B', 3]);
    graph.output('y', add(mul(tanh(x), 2), mul(tanh(x), 2)));
    const merged = mergeEqualNodes(graph);
    expect(operatorsOf(merged)).toEqual(['Tanh', 'Mul', 'Add']);
    expect(merged.nodes.map(({ name }) => name)).toEqual(['Tanh_1', 'Mul_1', 'Add_1']);
  });

  test('keeps apart what differs in attributes, in the order of inputs or in what it waits for', () => {
    const graph = new Graph('example');
    const [x, y] = [graph.input('x', 'float32', [3]), graph.input('y', 'float32', [3])];
    graph.output('differences', add(sub(x, y), sub(y, x)));
    graph.output('waiting', add(tanh(x), tanh(gate(x, [y]))));
    expect(operatorsOf(mergeEqualNodes(graph)).toSorted()).toEqual(operatorsOf(graph).toSorted());
  });

  test('outputs of the graph stay apart', () => {
    const graph = new Graph('example');
    const x = graph.input('x', 'float32', [3]);
    graph.output('a', tanh(x));
    graph.output('b', tanh(x));
    expect(operatorsOf(mergeEqualNodes(graph))).toEqual(['Tanh', 'Tanh']);
  });
});
