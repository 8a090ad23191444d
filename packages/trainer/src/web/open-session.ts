import type { Graph } from '@musubi/onnx-graph';
import type { Runtime, Session, SessionRequest } from '@musubi/runtime';

import { encodeModel } from '@musubi/onnx-graph';
import { RuntimeError } from '@musubi/runtime';

import type { WebBase } from './open-base.ts';

/**
 * A session of a training graph, which reads the base weights of the page's file.
 *
 * @param path that the graph names the weights by
 * @throws {RuntimeError} `OUT_OF_MEMORY`, where it is the base that does not fit, and others of `createSession`
 */
export async function openSession(
  runtime: Runtime,
  graph: Graph,
  path: string,
  { takeContent, keepOnDevice = [] }: Pick<WebBase<unknown>, 'takeContent'> & Pick<SessionRequest, 'keepOnDevice'>,
): Promise<Session> {
  const content = takeContent();
  const model = encodeModel(graph);
  try {
    const externalData = { [path]: content };
    return await runtime.createSession({ label: 'training_model', model, externalData, keepOnDevice });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'OUT_OF_MEMORY')) throw error;
    const inAll = runtime.info.device === 'wasm' ? ', and WebAssembly has 4 GiB in all' : '';
    throw new RuntimeError(
      'OUT_OF_MEMORY',
      `there is not enough memory for base weights of ${(content.size / 1e9).toFixed(1)} GB${inAll}.`,
      'Use a base in 8 bits (--int8_base), another device, or @musubi/cli.',
      { label: 'training_model' },
      { cause: error },
    );
  }
}
