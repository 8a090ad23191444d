import { fromBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as Kind,
  type AttributeProto,
  type ModelProto,
  ModelProtoSchema,
  TensorProto_DataLocation as Location,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf';

import type { DataType, TypedArray } from './dtype.ts';
import type { AttributeValue, TensorType, Value } from './graph.ts';

import { bytesPerElement, fromOnnxCode } from './dtype.ts';
import { GraphError } from './errors.ts';
import { Graph } from './graph.ts';

/** Reads the bytes of an `.onnx` file that {@link encodeModel} or another exporter wrote. Subgraphs are refused. */
export function decodeModel(bytes: Uint8Array): Graph {
  const model = parse(bytes);
  const source = model.graph;
  if (!source) throw invalid('', 'the file holds no graph.');
  const graph = new Graph(source.name);
  for (const { key, value } of model.metadataProps) graph.metadata[key] = value;

  const values = new Map<string, Value>();
  const weights = new Set(source.initializer.map((t) => t.name));
  for (const info of source.input) {
    if (weights.has(info.name)) continue;
    const { dtype, shape } = typeOf(info);
    values.set(info.name, graph.input(info.name, dtype, shape));
  }
  for (const tensor of source.initializer) values.set(tensor.name, initializer(graph, tensor));

  const known = new Map([...source.valueInfo, ...source.output].map((info) => [info.name, info]));
  for (const proto of source.node) {
    const inputs = proto.input.map((name) => (name === '' ? null : lookup(values, name, proto.name)));
    const attributes = Object.fromEntries(proto.attribute.map((a) => [a.name, attributeValue(a, proto.name)]));
    const infos = proto.output.map((name) => known.get(name));
    const types = infos.every((info) => info !== undefined) ? { types: infos.map(typeOf) } : {};
    const scope = proto.metadataProps.find((p) => p.key === 'scope')?.value ?? '';
    const outputs = graph.withScope(scope, () =>
      graph.node(proto.opType, inputs, attributes, {
        ...(proto.name ? { name: proto.name } : {}),
        domain: proto.domain,
        outputNames: proto.output,
        outputs: proto.output.length,
        ...types,
      }),
    );
    proto.output.forEach((name, i) => {
      const value = outputs[i];
      if (value && name !== '') values.set(name, value);
    });
  }
  for (const { name } of source.output) graph.output(name, lookup(values, name, 'output'));
  return graph;
}

function parse(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new GraphError('INVALID_MODEL', '', 'this is not an ONNX model.', 'Check the file; it may be cut off.', {
      cause,
    });
  }
}

const invalid = (at: string, found: string) =>
  new GraphError('INVALID_MODEL', at, found, 'Export the model again, or report it with the file.');

function lookup(values: ReadonlyMap<string, Value>, name: string, at: string): Value {
  const value = values.get(name);
  if (!value) throw invalid(at, `there is no value ${name} before this node.`);
  return value;
}

function typeOf(info: ValueInfoProto): TensorType {
  const tensor = info.type?.value.case === 'tensorType' ? info.type.value.value : undefined;
  const dtype = tensor && fromOnnxCode(tensor.elemType);
  if (!dtype) throw invalid(info.name, 'its type is not a tensor of a known dtype.');
  const shape = (tensor.shape?.dim ?? []).map((dim) => {
    if (dim.value.case === 'dimValue') return Number(dim.value.value);
    if (dim.value.case === 'dimParam') return dim.value.value;
    throw invalid(info.name, 'one of its axes has neither a length nor a symbol.');
  });
  return { dtype, shape };
}

function attributeValue(attribute: AttributeProto, at: string): AttributeValue {
  if (attribute.type === Kind.INT) return Number(attribute.i);
  if (attribute.type === Kind.FLOAT) return attribute.f;
  if (attribute.type === Kind.STRING) return new TextDecoder().decode(attribute.s);
  if (attribute.type === Kind.INTS) return attribute.ints.map(Number);
  if (attribute.type === Kind.FLOATS) return attribute.floats;
  throw invalid(at, `attribute ${attribute.name} is a graph or tensor, which is not supported.`);
}

function initializer(graph: Graph, tensor: TensorProto): Value {
  const dtype = fromOnnxCode(tensor.dataType);
  if (!dtype) throw invalid(tensor.name, `its dtype ${tensor.dataType} is unknown.`);
  const shape = tensor.dims.map(Number);
  if (tensor.dataLocation === Location.EXTERNAL) {
    const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
    const location = entries.get('location');
    const length = shape.reduce((a, b) => a * b, bytesPerElement(dtype));
    if (location === undefined) throw invalid(tensor.name, 'its external data have no location.');
    const offset = Number(entries.get('offset') ?? 0);
    return graph.external(tensor.name, dtype, shape, {
      location,
      offset,
      length: Number(entries.get('length') ?? length),
    });
  }
  return graph.constant({ dtype, shape, data: inlineData(tensor, dtype, shape) }, tensor.name);
}

function inlineData(tensor: TensorProto, dtype: DataType, shape: readonly number[]): TypedArray {
  const count = shape.reduce((a, b) => a * b, 1);
  if (tensor.rawData.length > 0 || count === 0) {
    if (tensor.rawData.length !== count * bytesPerElement(dtype))
      throw invalid(tensor.name, 'its data have another size.');
    const buffer = tensor.rawData.slice().buffer;
    if (dtype === 'float32') return new Float32Array(buffer);
    if (dtype === 'float64') return new Float64Array(buffer);
    if (dtype === 'int64') return new BigInt64Array(buffer);
    if (dtype === 'int32') return new Int32Array(buffer);
    if (dtype === 'float16' || dtype === 'bfloat16' || dtype === 'uint16') return new Uint16Array(buffer);
    return new Uint8Array(buffer);
  }
  if (dtype === 'float32' && tensor.floatData.length === count) return Float32Array.from(tensor.floatData);
  if (dtype === 'int64' && tensor.int64Data.length === count) return BigInt64Array.from(tensor.int64Data);
  throw invalid(tensor.name, 'its data are stored in a form that is not supported.');
}
