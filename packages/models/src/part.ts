import type { Params } from '@musubi/onnx-graph';

/**
 * Builds a part of a model where it belongs: `build` gets the parameters below `path`, and its nodes the scope `path`.
 *
 *     x = add(x, part(p, 'ffn', feedForward, x, config));
 */
export function part<Inputs extends readonly unknown[], Result>(
  p: Params,
  path: string,
  build: (p: Params, ...inputs: Inputs) => Result,
  ...inputs: Inputs
): Result {
  return p.graph.within(path, () => build(p.at(path), ...inputs));
}
