import type { Node, Value } from '@musubi/onnx-graph';

import { gate, isFloat } from '@musubi/onnx-graph';

/** The second computation of one segment for its backward pass (Chen et al. 2016, "Training deep nets with sublinear memory cost"). */
export interface Recompute {
  readonly segment: string;
  /** The recomputed form of a value; values of other segments come back gated, weights and graph inputs as they are. */
  again(value: Value): Value;
}

/**
 * Copies of a segment's nodes, made on demand.
 *
 * What enters the segment is gated behind `after` (the cotangents that arrive at its end and the parameter gradients
 * made since the later segment began). Without the gate ONNX Runtime would merge the copies with their originals, and it would run them
 * during the forward pass, where nothing is saved.
 */
export function createRecompute(
  segment: string,
  { segmentOf }: { readonly segmentOf?: (node: Node) => string | undefined },
  after: readonly Value[],
): Recompute {
  const copies = new Map<Value, Value>();

  const again = (value: Value): Value => {
    const known = copies.get(value);
    if (known) return known;
    const { producer, graph } = value;
    if (!producer) return value;
    if (segmentOf?.(producer) !== segment) {
      const waits = isFloat(value.dtype) && value.shape.length > 0 && after.length > 0;
      const gated = waits ? graph.withScope(`again/${segment}`, () => gate(value, after)) : value;
      copies.set(value, gated);
      return gated;
    }
    const inputs = producer.inputs.map((v) => v && again(v));
    const outputs = graph.withScope(`again/${producer.scope}`, () =>
      graph.node(producer.op, inputs, producer.attributes, {
        domain: producer.domain,
        outputs: producer.outputs.length,
        types: producer.outputs,
      }),
    );
    producer.outputs.forEach((v, i) => copies.set(v, outputs[i] ?? v));
    return copies.get(value) ?? value;
  };
  return { segment, again };
}
