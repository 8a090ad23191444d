import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { HostTensor, Value } from '@musubi/onnx-graph';

import { Graph, encodeModel } from '@musubi/onnx-graph';
import { onTestFinished } from 'vitest';

export const float32 = (shape: readonly number[], data: Iterable<number>): HostTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(data),
});

/** A model with the named outputs. */
export function buildModel(
  build: (graph: Graph) => Record<string, Value>,
  change = (graph: Graph) => graph,
): Uint8Array {
  const graph = new Graph('test');
  for (const [name, value] of Object.entries(build(graph))) graph.output(name, value);
  return encodeModel(change(graph));
}

/** A folder that is removed after the test. Its name holds what paths of users hold. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'musubi rüntime 文 '));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** A safetensors file with these tensors in this order; `padding` bytes lengthen the header, which shifts all data. */
export function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, { dtype: string; shape: readonly number[]; data: ArrayBufferView }>>,
  padding = 0,
): Record<string, { offset: number; length: number }> {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, (end += data.byteLength)] };
  }
  const text = Buffer.from(JSON.stringify(header) + ' '.repeat(padding));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const bodies = Object.values(tensors).map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  writeFileSync(path, Buffer.concat([length, text, ...bodies]));
  let offset = 8 + text.length;
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { data }]) => {
      const place = { offset, length: data.byteLength };
      offset += data.byteLength;
      return [name, place];
    }),
  );
}

/** Numbers that are the same on every run, in −1 … 1. */
export function numbers(count: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 2 ** 30 - 1;
  });
}
