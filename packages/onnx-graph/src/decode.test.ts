import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { GraphProtoSchema, ModelProtoSchema, TensorProtoSchema } from 'onnx-buf';
import { describe, expect, test } from 'vitest';

import type { DataType, TypedArray } from './dtype.ts';

import { dataTypes, onnxCode } from './dtype.ts';
import { GraphError } from './errors.ts';
import { exampleGraph } from '../tests/example-graph.ts';
import { Graph, decodeModel, encodeModel, reshape } from './index.ts';

test('a model decodes to the graph that was encoded', () => {
  const bytes = encodeModel(exampleGraph());
  const again = decodeModel(bytes);

  expect(encodeModel(again)).toEqual(bytes);
  expect(again.name).toBe('example');
  expect(again.metadata).toEqual({ origin: 'test' });
  expect(again.inputs.map((v) => [v.name, v.dtype, v.shape])).toEqual([['x', 'float32', ['B', 'S', 64]]]);
  expect(again.find('w')?.external).toEqual({ location: 'dit.safetensors', offset: 13, length: 1024 });
  expect(again.nodes[0]?.scope).toBe('block');
  expect(again.outputs.map((o) => o.name)).toEqual(['y', 'copy of x']);
});

test('the operator set and the domains of the nodes are written', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', [2]);
  const [y] = graph.node('Twice', [x], {}, { domain: 'org.example', types: [x] });
  graph.output('y', y ?? x);
  const model = fromBinary(ModelProtoSchema, encodeModel(graph, { opset: 23 }));
  expect(model.opsetImport.map((o) => [o.domain, o.version])).toEqual([
    ['', 23n],
    ['com.microsoft', 1n],
    ['org.example', 1n],
  ]);
});

const outcome = (bytes: Uint8Array): 'graph' | 'error' => {
  try {
    decodeModel(bytes);
    return 'graph';
  } catch (error) {
    if (error instanceof GraphError) return 'error';
    throw error;
  }
};

describe('damaged files give a graph or a GraphError', () => {
  const bytes = encodeModel(exampleGraph());

  test('cut off at every byte', () => {
    for (let length = 0; length < bytes.length; length++) outcome(bytes.subarray(0, length));
    expect(outcome(bytes.subarray(0, bytes.length / 2))).toBe('error');
    expect(outcome(bytes)).toBe('graph');
  });

  test('with any byte changed', () => {
    const one = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 4 }), (changes) => {
        const copy = bytes.slice();
        for (const [at, value] of changes) copy[at] = value;
        outcome(copy);
      }),
      { numRuns: 3000 },
    );
  });

  test('of random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => void outcome(random)),
      { numRuns: 1000 },
    );
  });
});

describe('inline data', () => {
  const arrays: [DataType, TypedArray][] = [
    ['float32', Float32Array.of(1.5, -2)],
    ['float64', Float64Array.of(1.1, -2)],
    ['int64', BigInt64Array.of(-(2n ** 62n), 5n)],
    ['uint64', BigUint64Array.of(2n ** 63n, 5n)],
    ['int32', Int32Array.of(-7, 2 ** 30)],
    ['uint32', Uint32Array.of(7, 2 ** 32 - 1)],
    ['int16', Int16Array.of(-7, 300)],
    ['uint16', Uint16Array.of(7, 65535)],
    ['int8', Int8Array.of(-7, 127)],
    ['uint8', Uint8Array.of(7, 255)],
    ['bool', Uint8Array.of(0, 1)],
    ['float16', Uint16Array.of(0x3c00, 0xc000)],
    ['bfloat16', Uint16Array.of(0x3f80, 0xc000)],
    ['float8e4m3fn', Uint8Array.of(0x38, 0xff)],
    ['float8e5m2', Uint8Array.of(0x3c, 0x80)],
  ];

  test('covers every dtype', () => {
    expect(arrays.map(([dtype]) => dtype).toSorted()).toEqual(dataTypes.toSorted());
  });

  test.each(arrays)('of %s survives, raw and in its typed field', (dtype, data) => {
    const graph = new Graph('example');
    graph.constant({ dtype, shape: [2], data }, 'c');
    expect(decodeModel(encodeModel(graph)).find('c')?.data).toEqual({ dtype, shape: [2], data });

    const numbers = Array.from(data as Float32Array, Number);
    const big = Array.from(data as BigInt64Array, (BigInt64) => BigInt64);
    const tensor = create(TensorProtoSchema, { name: 'c', dataType: onnxCode(dtype), dims: [2n] });
    if (dtype === 'float32') tensor.floatData = numbers;
    else if (dtype === 'float64') tensor.doubleData = numbers;
    else if (dtype === 'int64') tensor.int64Data = big;
    else if (dtype === 'uint64' || dtype === 'uint32') tensor.uint64Data = big.map(BigInt);
    else tensor.int32Data = numbers;
    const typed = toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, { graph: create(GraphProtoSchema, { initializer: [tensor] }) }),
    );
    expect(decodeModel(typed).find('c')?.data).toEqual({ dtype, shape: [2], data });
  });
});

test('unknown operators keep their types and attributes', () => {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['B', 4]);
  const attributes = { scale: 0.5, axes: [1, 2], mode: 'fast', factors: [0.5, 1], count: 3 };
  const [y] = graph.node('Twice', [x, null, x], attributes, {
    domain: 'org.example',
    types: [{ dtype: 'float16', shape: ['B', 2] }],
  });
  graph.output('y', y ?? x);
  const again = decodeModel(encodeModel(graph));
  expect(again.nodes[0]).toMatchObject({ op: 'Twice', domain: 'org.example', attributes });
  expect(again.nodes[0]?.inputs.map((v) => v?.name ?? null)).toEqual(['x', null, 'x']);
  expect(again.outputs[0]?.value).toMatchObject({ dtype: 'float16', shape: ['B', 2] });
});

test('lengths are written as numbers, also those that depend on others', () => {
  const graph = new Graph('g');
  const x = graph.input('x', 'float32', ['B', 'S', 4]);
  graph.output('y', reshape(x, ['B*S', 4]));
  const shapes = (lengths: ReadonlyMap<string, number>) => {
    const { inputs, outputs } = decodeModel(encodeModel(graph, { lengths }));
    return [inputs[0]?.shape, outputs[0]?.value.shape];
  };
  expect(
    shapes(
      new Map([
        ['B', 2],
        ['S', 8],
      ]),
    ),
  ).toEqual([
    [2, 8, 4],
    [16, 4],
  ]);
});
