import type { AttentionChunks, AttributeValue, Node, Value } from '@musubi/onnx-graph';

/** Computes the cotangent of one input. */
export type Thunk = () => Value;

/** What a gradient rule sees of the node it differentiates. All values belong to the graph under construction. */
export interface RuleCall {
  readonly node: Node;
  /** Forward inputs (recomputed ones with activation checkpointing). */
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  /** Cotangent of each output: the derivative of the loss by it. Zero where nothing flows back. */
  cotangent(output: number): Value;
  attribute(name: string): AttributeValue | undefined;
  /** Into how many pieces an operator over all pairs of tokens shall cut its work. */
  readonly attention: AttentionChunks;
  /**
   * The only node that uses output 0, with its outputs and the cotangent of its first output, if there is exactly one;
   * lets a rule use an identity that spans two nodes.
   */
  soleConsumer(): { readonly node: Node; readonly output: Value; readonly cotangent: Value } | undefined;
}

/**
 * The gradient of an operator: one thunk an input, null where the input has no derivative (indices, shapes). The engine
 * calls only the thunks of inputs on a path from a trainable input, sums several uses and undoes broadcasting.
 */
export type GradientRule = (call: RuleCall) => readonly (Thunk | null)[];

/** Rule of `y = f(x)`: `x̄ = ȳ·f′(x)`, with the derivative as an expression of `x` and `y`. */
export const unary =
  (derivative: (x: Value, y: Value, dY: Value) => Value): GradientRule =>
  ({ inputs: [x], outputs: [y], cotangent }) => [() => derivative(need(x), need(y), cotangent(0))];

/** Rule of `y = f(a, b)`, elementwise with broadcasting. */
export const binary =
  (rule: (dY: Value, a: Value, b: Value, y: Value) => readonly [Thunk, Thunk]): GradientRule =>
  ({ inputs: [a, b], outputs: [y], cotangent }) =>
    rule(cotangent(0), need(a), need(b), need(y));

/** A value that the operator's arity guarantees. */
export function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('internal: a gradient rule asked for an operand that is not there.');
  return value;
}
