import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as Kind,
  type AttributeProto,
  AttributeProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation as Location,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';

import type { AttributeKind } from './operators/infer.ts';
import type { AttributeValue, Graph, Node, TensorType, Value } from './graph.ts';

import { type Dim, evaluateDim, symbolsIn } from './dim.ts';
import { onnxCode } from './dtype.ts';
import { GraphError } from './errors.ts';
import { dimName } from './internal/dim-names.ts';
import { specOf } from './operators/infer.ts';

export interface EncodeOptions {
  /** Version of the standard operator set; by default 21, which every build we know reads, or what the operators need. */
  readonly opset?: number;
  /** Lengths of symbols, e.g. `B` 1 and `S` 2048: shapes of the file have numbers then where they had them. */
  readonly lengths?: ReadonlyMap<string, number>;
}

const oldestOpset = 21;

const irVersion = 10n;

/**
 * The graph as the bytes of an `.onnx` file. Weights stay in their files.
 *
 * @throws {GraphError} `UNKNOWN_VALUE` for a value that is not in the graph; `BAD_DIMENSION` for lengths that give none
 */
export function encodeModel(
  graph: Graph,
  { opset = opsetOf(graph), lengths = new Map() }: EncodeOptions = {},
): Uint8Array {
  checkOrder(graph);
  const names = outputNames(graph);
  const nameOf = (value: Value) => names.get(value) ?? value.name;
  const valueInfo = createValueInfo(lengths);
  const domains = new Set(['', 'com.microsoft', ...graph.nodes.map((node) => node.domain)]);
  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: 'musubi-ts',
    opsetImport: [...domains].map((domain) => ({ domain, version: domain === '' ? BigInt(opset) : 1n })),
    metadataProps: Object.entries(graph.metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: graph.name,
      input: graph.inputs.map((v) => valueInfo(v.name, v)),
      output: graph.outputs.map(({ name, value }) => valueInfo(name, value)),
      initializer: graph.initializers.map(tensorProto),
      node: [...graph.nodes.map((node) => nodeProto(node, nameOf)), ...outputCopies(graph, names)],
      valueInfo: graph.nodes.flatMap((n) =>
        n.outputs.filter((v) => !names.has(v)).map((v) => valueInfo(v.name, v, n.scope)),
      ),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

const opsetOf = ({ nodes }: Graph): number =>
  Math.max(oldestOpset, ...new Set(nodes.map(({ op, domain }) => specOf(op, domain)?.since ?? 0)));

/** The lists of a graph are open to passes, and a value that a pass has dropped must not be used any more. */
function checkOrder({ inputs, initializers, nodes, outputs }: Graph): void {
  const known = new Set<Value | null>([null, ...inputs, ...initializers]);
  const check = (value: Value | null, at: string) => {
    if (known.has(value)) return;
    throw new GraphError('UNKNOWN_VALUE', at, `${value?.name} is not in the graph before it.`, 'Add its node first.');
  };
  for (const node of nodes) {
    for (const input of node.inputs) check(input, node.name);
    for (const output of node.outputs) known.add(output);
  }
  for (const { name, value } of outputs) check(value, name);
}

/** A node's output that is a graph output takes the output's name; the first name wins when it has several. */
function outputNames(graph: Graph): Map<Value, string> {
  const names = new Map<Value, string>();
  for (const { name, value } of graph.outputs) {
    if (value.kind === 'node' && !names.has(value)) names.set(value, name);
  }
  return names;
}

/** Outputs that are inputs, weights or second names of a value need a node of their own. */
const outputCopies = (graph: Graph, names: ReadonlyMap<Value, string>) =>
  graph.outputs
    .filter(({ name, value }) => names.get(value) !== name)
    .map(({ name, value }) =>
      create(NodeProtoSchema, {
        name: `output/${name}`,
        opType: 'Identity',
        domain: '',
        input: [names.get(value) ?? value.name],
        output: [name],
      }),
    );

function nodeProto(node: Node, nameOf: (value: Value) => string) {
  const kinds = specOf(node.op, node.domain)?.attributes ?? {};
  return create(NodeProtoSchema, {
    name: node.name,
    opType: node.op,
    domain: node.domain,
    input: node.inputs.map((v) => (v ? nameOf(v) : '')),
    output: node.outputs.map(nameOf),
    attribute: Object.entries(node.attributes).map(([name, value]) => attributeProto(name, value, kinds[name])),
    metadataProps: node.scope ? [{ key: 'scope', value: node.scope }] : [],
  });
}

function attributeProto(name: string, value: AttributeValue, kind: AttributeKind | undefined): AttributeProto {
  const attribute = create(AttributeProtoSchema, { name });
  if (typeof value === 'string') {
    attribute.type = Kind.STRING;
    attribute.s = new TextEncoder().encode(value);
  } else if (typeof value === 'number') {
    if (kind === 'float' || !Number.isSafeInteger(value)) {
      attribute.type = Kind.FLOAT;
      attribute.f = value;
    } else {
      attribute.type = Kind.INT;
      attribute.i = BigInt(value);
    }
  } else if (kind === 'floats' || !value.every((x) => Number.isSafeInteger(x))) {
    attribute.type = Kind.FLOATS;
    attribute.floats = [...value];
  } else {
    attribute.type = Kind.INTS;
    attribute.ints = value.map(BigInt);
  }
  return attribute;
}

function tensorProto(value: Value): TensorProto {
  const tensor = create(TensorProtoSchema, {
    name: value.name,
    dataType: onnxCode(value.dtype),
    dims: value.shape.map((d) => BigInt(d)),
  });
  if (value.external) {
    const { location, offset, length } = value.external;
    tensor.dataLocation = Location.EXTERNAL;
    tensor.externalData = Object.entries({ location, offset, length }).map(([key, v]) => ({
      $typeName: 'onnx.StringStringEntryProto',
      key,
      value: String(v),
    }));
  } else if (value.data) {
    const { data } = value.data;
    tensor.rawData = new Uint8Array(
      data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer,
    );
  }
  return tensor;
}

const createValueInfo = (lengths: ReadonlyMap<string, number>) => {
  const fixed = (dim: Dim): Dim =>
    typeof dim === 'string' && symbolsIn(dim).every((symbol) => lengths.has(symbol)) ? evaluateDim(dim, lengths) : dim;
  return (name: string, { dtype, shape }: TensorType, scope = '') =>
    create(ValueInfoProtoSchema, {
      name,
      type: create(TypeProtoSchema, {
        value: {
          case: 'tensorType',
          value: create(TypeProto_TensorSchema, {
            elemType: onnxCode(dtype),
            shape: create(TensorShapeProtoSchema, {
              dim: shape.map(fixed).map((d) =>
                create(TensorShapeProto_DimensionSchema, {
                  value:
                    typeof d === 'number'
                      ? { case: 'dimValue', value: BigInt(d) }
                      : { case: 'dimParam', value: dimName(d, scope) },
                }),
              ),
            }),
          }),
        },
      }),
    });
};
