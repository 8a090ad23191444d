import type { DataType, Node } from '../../src/index.ts';
import type { Tensor64 } from './tensor.ts';

/** One application of an operator to numbers. */
export interface Call {
  readonly node: Node;
  readonly inputs: readonly (Tensor64 | null)[];
  /** Inputs without those left out. */
  readonly present: readonly Tensor64[];
  input(index: number): Tensor64;
  dtype(index: number): DataType;
  /** Values of an integer input, or undefined where it is left out. */
  integers(index: number): number[] | undefined;
  /** An int or float attribute. */
  number(name: string, fallback: number): number;
  ints(name: string): readonly number[] | undefined;
  string(name: string, fallback: string): string;
}

export type Implementation = (call: Call) => Tensor64 | readonly Tensor64[];

export function callOf(node: Node, inputs: readonly (Tensor64 | null)[]): Call {
  const { attributes } = node;
  const missing = (index: number) => new RangeError(`${node.name}: ${node.op} needs input ${index}`);
  return {
    node,
    inputs,
    present: inputs.filter((x) => x !== null),
    input(index) {
      const x = inputs[index];
      if (!x) throw missing(index);
      return x;
    },
    dtype(index) {
      const value = node.inputs[index];
      if (!value) throw missing(index);
      return value.dtype;
    },
    integers: (index) => (inputs[index] ? Array.from(inputs[index].data) : undefined),
    number: (name, fallback) => (attributes[name] as number | undefined) ?? fallback,
    ints: (name) => attributes[name] as readonly number[] | undefined,
    string: (name, fallback) => (attributes[name] as string | undefined) ?? fallback,
  };
}
