import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  FunctionProtoSchema,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation as Location,
  TensorProtoSchema,
} from 'onnx-buf';
import { expect, test } from 'vitest';

import { GraphError, decodeModel, encodeModel } from '../src/index.ts';
import { exampleGraph } from './example-graph.ts';

type Change = (graph: GraphProto, model: ModelProto) => void;

/** The example's bytes after its protobuf was changed. */
function changed(change: Change): Uint8Array {
  const model = fromBinary(ModelProtoSchema, encodeModel(exampleGraph()));
  if (model.graph) change(model.graph, model);
  return toBinary(ModelProtoSchema, model);
}

function refusal(bytes: Uint8Array): string {
  try {
    decodeModel(bytes);
  } catch (error) {
    if (error instanceof GraphError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error('accepted');
}

type Fields<T> = Partial<Omit<T, '$typeName'>>;

const withNode =
  (fields: Fields<GraphProto['node'][number]>): Change =>
  ({ node }) =>
    void node.push(create(NodeProtoSchema, fields));

const withAttribute =
  (fields: Fields<GraphProto['node'][number]['attribute'][number]>): Change =>
  ({ node: [first] }) =>
    void first?.attribute.push(create(AttributeProtoSchema, fields));

const withWeight =
  (fields: Fields<GraphProto['initializer'][number]>): Change =>
  ({ initializer }) =>
    void initializer.push(create(TensorProtoSchema, { name: 'v', dataType: 1, ...fields }));

const fileRange = (offset: string, length: string) => ({
  dims: [2n],
  dataLocation: Location.EXTERNAL,
  externalData: Object.entries({ location: 'a', offset, length }).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  ),
});

const scale = create(AttributeProtoSchema, { name: 'scale', type: Kind.FLOAT, f: 2 });

test.each<[string, Change, string]>([
  [
    'an old operator set',
    (_, { opsetImport }) => opsetImport.forEach((o) => (o.version = 11n)),
    'INVALID_MODEL graph: its operator set is 11, at least 13',
  ],
  ['functions', (_, { functions }) => void functions.push(create(FunctionProtoSchema)), 'it defines functions'],
  ['no graph', (_, model) => void delete model.graph, 'the file holds no graph'],
  ['sparse weights', (g) => void g.sparseInitializer.push(create(SparseTensorProtoSchema)), 'it has sparse weights'],
  ['an input without type', (g) => g.input.forEach((i) => delete i.type), 'x: this input has no type or no shape'],
  ['an unreadable symbol', (g) => setFirstAxis(g, '1/B'), 'BAD_DIMENSION x: "1/B" is not a length'],
  ['an unknown value', withNode({ opType: 'Exp', input: ['nobody'], output: ['z'] }), 'there is no value nobody'],
  ['a value made twice', withNode({ opType: 'Exp', input: ['x'], output: ['x'] }), 'DUPLICATE_NAME x: this name'],
  ['an unknown operator', withNode({ opType: 'constructor', output: ['z'] }), 'UNKNOWN_OPERATOR constructor_1'],
  [
    'another domain under a known name',
    withNode({ opType: 'Add', domain: 'ai.onnx.ml', input: ['x', 'x'], output: ['z'] }),
    'operator ai.onnx.ml.Add is not in the table',
  ],
  ['a subgraph', withAttribute({ name: 'body', type: Kind.GRAPH }), 'attribute body is a graph or tensor'],
  [
    'an integer beyond 2^53',
    withAttribute({ name: 'saturate', type: Kind.INT, i: 2n ** 60n }),
    'attribute saturate = 1152921504606846976 is beyond',
  ],
  [
    'more parts than outputs',
    (g) => g.node.forEach((n) => n.attribute.filter((a) => a.name === 'num_outputs').forEach((a) => (a.i = 2n ** 31n))),
    '2147483648 parts are not 2 outputs',
  ],
  [
    'a whole float attribute outside the table',
    withNode({ name: 'n', opType: 'Twice', input: ['x'], output: ['z'], attribute: [scale] }),
    'INVALID_MODEL n: float attribute scale of Twice',
  ],
  ['weights of unknown dtype', withWeight({ dataType: 8 }), 'v: its dtype 8 is unknown'],
  ['raw data of another size', withWeight({ dims: [3n], rawData: new Uint8Array(8) }), 'v: its data have another size'],
  ['typed data of another size', withWeight({ dims: [3n], floatData: [1] }), 'v: its data have another size'],
  ['a huge shape without data', withWeight({ dims: [2n ** 40n, 2n ** 40n] }), 'v: its data have another size'],
  ['negative lengths', withWeight({ dims: [-1n, -1n], floatData: [1] }), 'BAD_DIMENSION v: -1 is not a length'],
  ['large weights inside', withWeight({ dims: [300n], rawData: new Uint8Array(1200) }), 'INLINE_TOO_LARGE v: 1200'],
  ['weights in no file', withWeight({ dataLocation: Location.EXTERNAL }), 'v: its external data have no location'],
  ['a range of another size', withWeight(fileRange('4', '9')), "float32 [2] takes 8 bytes, the file's range has 9"],
  ['a range of no size', withWeight(fileRange('4', 'many')), "the file's range has NaN"],
  ['a negative offset', withWeight(fileRange('-4', '8')), 'v: offset -4'],
  ['an output that nobody makes', (g) => g.output.forEach((o) => (o.name = 'nobody')), 'there is no value nobody'],
])('refuses %s', (_, change, message) => {
  expect(refusal(changed(change))).toContain(message);
});

test('refuses a file of another kind', () => {
  expect(refusal(new TextEncoder().encode('{"not": "a model"}'))).toContain('this is not an ONNX model');
});

test('names outputs that a node leaves out', () => {
  const bytes = changed(({ node }) => {
    const norm = node.find((n) => n.opType === 'LayerNormalization');
    if (norm) norm.output = [norm.output[0] ?? '', '', ''];
  });
  const norm = decodeModel(bytes).nodes.find((n) => n.op === 'LayerNormalization');
  expect(norm?.outputs.map((v) => v.name)).toEqual([norm?.name, `${norm?.name}:1`, `${norm?.name}:2`]);
});

function setFirstAxis({ input }: GraphProto, symbol: string): void {
  const type = input[0]?.type?.value;
  const dim = type?.case === 'tensorType' ? type.value.shape?.dim[0] : undefined;
  if (dim) dim.value = { case: 'dimParam', value: symbol };
}
