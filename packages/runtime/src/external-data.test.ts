import { Graph, add, cast, decodeModel, encodeModel, matmul } from '@musubi/onnx-graph';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { externalTensors, relocateExternalData } from './external-data.ts';

function exampleModel(): Uint8Array {
  const graph = new Graph('example');
  const x = graph.input('x', 'float32', ['n', 4]);
  const w = graph.external('w', 'float32', [4, 4], { location: 'a.safetensors', offset: 3, length: 64 });
  const b = graph.external('b', 'bfloat16', [4], { location: 'b.safetensors', offset: 2 ** 33 + 1, length: 8 });
  graph.output('y', add(matmul(x, w), cast(b, 'float32')));
  return encodeModel(graph);
}

test('externalTensors lists weights with their byte ranges, also beyond 4 GiB', () => {
  expect(externalTensors(exampleModel())).toEqual([
    { name: 'w', location: 'a.safetensors', offset: 3, length: 64 },
    { name: 'b', location: 'b.safetensors', offset: 2 ** 33 + 1, length: 8 },
  ]);
});

describe('relocateExternalData', () => {
  test('changes locations and nothing else', () => {
    const long = `${'folder/'.repeat(40)}wéights 文.safetensors`;
    const moved = relocateExternalData(exampleModel(), (location) => (location === 'a.safetensors' ? long : location));

    expect(externalTensors(moved).map((t) => t.location)).toEqual([long, 'b.safetensors']);
    const back = relocateExternalData(moved, (location) => (location === long ? 'a.safetensors' : location));
    expect(back).toEqual(exampleModel());
    expect(decodeModel(moved).initializers[0]?.external).toEqual({ location: long, offset: 3, length: 64 });
  });

  test('returns the same bytes when nothing moves', () => {
    const model = exampleModel();

    expect(relocateExternalData(model, (location) => location)).toBe(model);
  });
});

describe('of a file that is no model', () => {
  test('a truncated model is an error or has fewer weights, never a crash', () => {
    const model = exampleModel();
    for (let length = 0; length < model.length; length++) {
      expectModelOrError(() => externalTensors(model.subarray(0, length)));
    }
  });

  test('any bytes are an error or have weights, never a crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => expectModelOrError(() => externalTensors(bytes))),
    );
  });

  test('graphs nested without end are refused', () => {
    let bytes: Uint8Array = new Uint8Array();
    // node (field 1) with an attribute (5) with a graph (6), within a graph
    for (let i = 0; i < 600; i++) bytes = field([1, 5, 6][2 - (i % 3)] ?? 1, bytes);

    expect(() => externalTensors(field(7, bytes))).toThrow(/nested too deeply/);
  });
});

function expectModelOrError(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error).toMatchObject({ name: 'RuntimeError', code: 'INVALID_MODEL' });
  }
}

/** A length-delimited protobuf field. */
function field(number: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  return Uint8Array.from([number * 8 + 2, (length % 128) + 128, ((length >> 7) % 128) + 128, length >> 14, ...content]);
}
