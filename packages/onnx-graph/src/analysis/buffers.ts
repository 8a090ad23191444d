import type { Dim } from '../dim.ts';
import type { Graph, Node, Value } from '../graph.ts';

import { bytesPerElement } from '../dtype.ts';
import { dimName } from '../internal/dim-names.ts';
import { memoryUse } from './kernels.ts';

/** Memory that one or more values share, one after another or at the same time. */
export interface Buffer {
  /** In the order in which they come to lie there; the first one's size is the buffer's. */
  readonly values: Value[];
  /** Steps (indices into the execution order) at which it comes into being and after which it is given back. */
  readonly from: number;
  until: number;
}

/**
 * Which values share memory when the nodes run in this order, and from when to when, by the rules of ONNX Runtime's
 * planner:
 *
 * - Reshape and its like give their input another shape;
 * - some operators may write over an input that nothing else needs;
 * - a value may lie where a dead one of the same shape lay. The memory of that one is kept until then, however long;
 * - outputs of the graph have memory of their own and stay to the end.
 *
 * Shapes are compared as they are written in the file: `2*S` is not 8, even if it will be, nor `S` in another block's name. Weights, inputs of the graph
 * and other views of them are in no buffer.
 */
export function planBuffers(graph: Graph, order: readonly Node[]): Buffer[] {
  const outputs = new Set(graph.outputs.map(({ value }) => value));
  const places = new Map<Value, Buffer | 'outside'>();
  for (const value of [...graph.inputs, ...graph.initializers]) places.set(value, 'outside');
  const uses = new Map<Buffer, number>();
  const free = new Map<string, Buffer[]>(); // by size; the one that became free last comes last
  const all: Buffer[] = [];
  const usesOf = countUses(graph, order);

  order.forEach((node, step) => {
    node.outputs.forEach((value, index) => {
      const shared = outputs.has(value) ? undefined : (placeOfInput(node, value, index) ?? takeFree(value));
      places.set(value, shared ?? create(step));
      const buffer = bufferOf(value);
      if (!buffer) return;
      buffer.values.push(value);
      // One for its definition, so that it is not given back before its node has run.
      uses.set(buffer, (uses.get(buffer) ?? 0) + 1 + usesOf(value));
    });
    for (const input of node.inputs) if (input) release(bufferOf(input), step);
    for (const value of node.outputs) release(bufferOf(value), step);
  });
  return all;

  function create(step: number): Buffer {
    const buffer = { values: [], from: step, until: order.length - 1 };
    all.push(buffer);
    return buffer;
  }

  function bufferOf(value: Value): Buffer | undefined {
    const place = places.get(value);
    return place === 'outside' ? undefined : place;
  }

  function release(buffer: Buffer | undefined, step: number): void {
    if (!buffer) return;
    const left = (uses.get(buffer) ?? 0) - 1;
    uses.set(buffer, left);
    if (left !== 0) return;
    buffer.until = step;
    const [first] = buffer.values;
    if (!first) return;
    const alike = free.get(sizeOf(first));
    if (alike) alike.push(buffer);
    else free.set(sizeOf(first), [buffer]);
  }

  /** Where an input lies that the node's output may take over. */
  function placeOfInput(node: Node, value: Value, index: number): Buffer | 'outside' | undefined {
    const { views, inPlace } = memoryUse(node, index);
    for (const i of views) {
      const input = node.inputs[i];
      if (input) return places.get(input);
    }
    for (const i of inPlace) {
      const input = node.inputs[i];
      const buffer = input && bufferOf(input);
      if (buffer && uses.get(buffer) === 1 && sizeOf(input) === sizeOf(value)) return buffer;
    }
    return undefined;
  }

  function takeFree(value: Value): Buffer | undefined {
    return value.shape.length === 0 ? undefined : free.get(sizeOf(value))?.pop();
  }
}

/** Uses of a value as the input of a node that runs, and as an output of the graph. */
function countUses(graph: Graph, order: readonly Node[]): (value: Value) => number {
  const counts = new Map<Value, number>();
  const values = [...order.flatMap((node) => node.inputs), ...graph.outputs.map(({ value }) => value)];
  for (const value of values) if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
  return (value) => counts.get(value) ?? 0;
}

/** Bytes of a number, and the shape as it is written: equal for values of one size. */
const sizeOf = (value: Value): string =>
  `${bytesPerElement(value.dtype)} ${value.shape.map((dim) => nameOf(value, dim)).join()}`;

/** As it stands in the file, where outputs of the graph are named as they are. */
const nameOf = ({ producer }: Value, dim: Dim): Dim =>
  typeof dim === 'string' ? dimName(dim, producer?.scope ?? '') : dim;
