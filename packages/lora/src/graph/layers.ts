import { consumersOf } from '@musubi/onnx-graph';
import type { Graph, Node, Value } from '@musubi/onnx-graph';
import { loraName } from '../naming.ts';

/** One use of a linear layer in a graph. */
export interface Layer {
  readonly path: string;
  readonly x: Value;
  /** `[out, in]` */
  readonly weight: Value;
  /** the node whose output is the layer's: the product, or the addition of the bias behind it */
  readonly end: Node;
}

/** All linear layers of a graph, by the names that their adapters would have. */
export function findLayers(graph: Graph): ReadonlyMap<string, readonly Layer[]> {
  const consumers = consumersOf(graph);
  const layers = new Map<string, Layer[]>();
  for (const node of graph.nodes) {
    const [x, right] = node.inputs;
    if (node.op !== 'MatMul' || !x || right?.producer?.op !== 'Transpose') continue;
    const weight = namedBehindCast(right.producer.inputs[0]);
    if (!weight?.name.endsWith('.weight')) continue;
    const path = weight.name.slice(0, -'.weight'.length);
    const end = biasAddition(node, path, consumers) ?? node;
    const name = loraName(path);
    layers.set(name, [...(layers.get(name) ?? []), { path, x, weight, end }]);
  }
  return layers;
}

/** The addition of `<path>.bias`, if that is all that happens to the product. */
function biasAddition(product: Node, path: string, consumers: (value: Value) => readonly Node[]): Node | undefined {
  const [output] = product.outputs;
  const [next, ...others] = output ? consumers(output) : [];
  if (next?.op !== 'Add' || others.length > 0) return undefined;
  return next.inputs.some((input) => namedBehindCast(input)?.name === `${path}.bias`) ? next : undefined;
}

/** A weight: an input or an initializer behind its `Cast`, or the view of a strided one, which bears the weight's name. */
function namedBehindCast(value: Value | null | undefined): Value | undefined {
  const isView = /\.(?:weight|bias)$/.test(value?.name ?? '');
  if (value?.producer?.op === 'Cast' && !isView) return namedBehindCast(value.producer.inputs[0]);
  return value && (value.kind !== 'node' || isView) ? value : undefined;
}
