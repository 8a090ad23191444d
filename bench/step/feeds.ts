import { type Graph, type HostTensor, evaluateDim } from '../../packages/onnx-graph/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';

/** Seeded normal numbers for the inputs of a graph that are not `given`. */
export function randomFeeds(
  graph: Graph,
  lengths: Readonly<Record<string, number>>,
  given: Readonly<Record<string, unknown>> = {},
  generator = new TorchGenerator(3),
): Record<string, HostTensor> {
  const symbols = new Map(Object.entries(lengths));
  const data = graph.inputs.filter(({ name }) => !(name in given));
  return Object.fromEntries(
    data.map(({ name, shape }) => [
      name,
      random(
        shape.map((dim) => evaluateDim(dim, symbols)),
        generator,
      ),
    ]),
  );
}

function random(shape: readonly number[], generator: TorchGenerator): HostTensor {
  return { dtype: 'float32', shape, data: generator.randn(shape.reduce((a, b) => a * b, 1)) };
}
