import { fromBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as Kind,
  type AttributeProto,
  type ModelProto,
  type NodeProto,
  ModelProtoSchema,
  TensorProto_DataLocation as Location,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf';

import type { DataType, TypedArray } from './dtype.ts';
import type { AttributeValue, TensorType, Value } from './graph.ts';

import { arrayTypeOf, bytesPerElement, fromOnnxCode } from './dtype.ts';
import { GraphError } from './errors.ts';
import { Graph } from './graph.ts';
import { specOf } from './operators/infer.ts';

/** Softmax and the reductions mean something else before. */
const oldestOpset = 13n;

/**
 * Reads the bytes of an `.onnx` file that {@link encodeModel} or another exporter wrote.
 *
 * Subgraphs, functions and sparse weights are refused, and so are inline weights over 1 KB.
 *
 * @throws {GraphError} whatever the bytes are, nothing else
 */
export function decodeModel(bytes: Uint8Array): Graph {
  const model = parse(bytes);
  const source = model.graph;
  if (!source) throw invalid('', 'the file holds no graph.');
  if (model.functions.length > 0) throw invalid('', 'it defines functions, which are not supported.');
  if (source.sparseInitializer.length > 0) throw invalid('', 'it has sparse weights, which are not supported.');
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version;
  if (opset !== undefined && opset < oldestOpset) {
    throw invalid('', `its operator set is ${opset}, at least ${oldestOpset} is needed.`);
  }
  const graph = new Graph(source.name);
  for (const { key, value } of model.metadataProps) graph.metadata[key] = value;

  const values = new Map<string, Value>();
  const weights = new Set(source.initializer.map((t) => t.name));
  for (const info of source.input) {
    if (weights.has(info.name)) continue;
    const type = typeOf(info);
    if (!type) throw invalid(info.name, 'this input has no type or no shape.');
    values.set(info.name, graph.input(info.name, type.dtype, type.shape));
  }
  for (const tensor of source.initializer) values.set(tensor.name, initializer(graph, tensor));

  const known = new Map([...source.valueInfo, ...source.output].map((info) => [info.name, info]));
  for (const proto of source.node) {
    const inputs = proto.input.map((name) => (name === '' ? null : lookup(values, name, proto.name)));
    const attributes = Object.fromEntries(proto.attribute.map((a) => [a.name, attributeValue(a, proto.name)]));
    if (!specOf(proto.opType, proto.domain)) checkUnknown(proto);
    const types = proto.output.map((name) => typeOf(known.get(name)));
    const scope = proto.metadataProps.find((p) => p.key === 'scope')?.value ?? '';
    const outputs = graph.withScope(scope, () =>
      graph.node(proto.opType, inputs, attributes, {
        ...(proto.name ? { name: proto.name } : {}),
        domain: proto.domain,
        outputNames: proto.output,
        outputs: proto.output.length,
        ...(types.every((type) => type !== undefined) ? { types } : {}),
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
    // Of a Buffer, slices would share its memory.
    return fromBinary(ModelProtoSchema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
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

/** Undefined where the file does not say all of it. */
function typeOf(info: ValueInfoProto | undefined): TensorType | undefined {
  const tensor = info?.type?.value.case === 'tensorType' ? info.type.value.value : undefined;
  const dtype = tensor && fromOnnxCode(tensor.elemType);
  const shape = tensor?.shape?.dim.map(({ value }) =>
    value.case === 'dimValue' ? Number(value.value) : value.case === 'dimParam' ? withoutScope(value.value) : undefined,
  );
  return dtype && shape?.every((dim) => dim !== undefined) ? { dtype, shape } : undefined;
}

/** A length without the scope that `encodeModel` appends to some. */
const withoutScope = (dim: string): string => dim.replace(/@.*$/, '');

function attributeValue(attribute: AttributeProto, at: string): AttributeValue {
  if (attribute.type === Kind.INT) return integer(attribute.i, attribute, at);
  if (attribute.type === Kind.FLOAT) return attribute.f;
  if (attribute.type === Kind.STRING) return new TextDecoder().decode(attribute.s);
  if (attribute.type === Kind.INTS) return attribute.ints.map((x) => integer(x, attribute, at));
  if (attribute.type === Kind.FLOATS) return attribute.floats;
  throw invalid(at, `attribute ${attribute.name} is a graph or tensor, which is not supported.`);
}

function integer(x: bigint, { name }: AttributeProto, at: string): number {
  if (Number.isSafeInteger(Number(x))) return Number(x);
  throw invalid(at, `attribute ${name} = ${x} is beyond the integers that JavaScript holds.`);
}

/** Nothing outside the table says that a whole number is meant as a float, so it would be written back as an integer. */
function checkUnknown({ name, opType, attribute }: NodeProto): void {
  const float = attribute.find(
    ({ type, f, floats }) =>
      (type === Kind.FLOAT && Number.isSafeInteger(f)) ||
      (type === Kind.FLOATS && floats.every((x) => Number.isSafeInteger(x))),
  );
  if (float) throw invalid(name, `float attribute ${float.name} of ${opType}, which is not in the operator table.`);
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
  const size = count * bytesPerElement(dtype);
  if (tensor.rawData.length > 0 || count === 0) {
    if (tensor.rawData.length !== size) throw invalid(tensor.name, 'its data have another size.');
    return new (arrayTypeOf(dtype))(tensor.rawData.slice().buffer);
  }
  const numbers = typedField(tensor, dtype);
  if (numbers.length !== count) throw invalid(tensor.name, 'its data have another size.');
  const data = new (arrayTypeOf(dtype))(new ArrayBuffer(size)) as Float32Array;
  const convert = dtype === 'int64' || dtype === 'uint64' ? BigInt : Number;
  numbers.forEach((x, i) => (data[i] = convert(x) as number));
  return data;
}

/** Where ONNX puts elements that are not in `raw_data`; floats below 32 bits are there as their bits. */
function typedField(tensor: TensorProto, dtype: DataType): readonly (number | bigint)[] {
  if (dtype === 'float32') return tensor.floatData;
  if (dtype === 'float64') return tensor.doubleData;
  if (dtype === 'int64') return tensor.int64Data;
  if (dtype === 'uint64' || dtype === 'uint32') return tensor.uint64Data;
  return tensor.int32Data;
}
