import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { Graph, encodeModel, neg } from '@musubi/onnx-graph';
import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';

import { createRuntime } from '../src/index.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('an open session does not keep its request, in which the weights of a page are', async () => {
  const graph = new Graph('negative');
  graph.output('y', neg(graph.input('x', 'float32', [1])));
  const runtime = createRuntime(ort);
  const create = async () => {
    const request = { model: encodeModel(graph), label: 'kept' };
    return { session: await runtime.createSession(request), request: new WeakRef(request) };
  };
  const { session, request } = await create();
  // what waits for a turn of the event loop may still hold it
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  collect();
  expect(request.deref()).toBeUndefined();
  const { y } = await session.run({ x: { dtype: 'float32', shape: [1], data: Float32Array.of(2) } });
  expect(y?.data).toEqual(Float32Array.of(-2));
  await runtime.close();
});
