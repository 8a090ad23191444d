import { Graph, type ProductDtype, encodeModel, matmul, narrowProducts, softmax } from '@musubi/onnx-graph';

/** Graphics processors multiply with mantissas of 10 bits where that is allowed; what is broken is off by far more. */
const largestAllowed = { float32: 5e-3, float16: 1e-2, bfloat16: 5e-2 };

/** `y = softmax(x·w)` with a product in this type, and its result. */
export function smallModel(products: ProductDtype) {
  const [rows, inner, columns] = [4, 8, 6];
  const x = Float32Array.from({ length: rows * inner }, (_, i) => Math.sin(i));
  const w = Float32Array.from({ length: inner * columns }, (_, i) => Math.cos(i));
  const graph = new Graph('probe');
  const input = graph.input('x', 'float32', [rows, inner]);
  graph.output('y', softmax(matmul(input, graph.constant({ dtype: 'float32', shape: [inner, columns], data: w }))));
  const expected = Array.from({ length: rows }, (_, row) => {
    const product = Array.from({ length: columns }, (__, column) =>
      Array.from({ length: inner }, (___, k) => (x[row * inner + k] ?? 0) * (w[k * columns + column] ?? 0)).reduce(
        (a, b) => a + b,
      ),
    );
    const powers = product.map(Math.exp);
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }).flat();
  return {
    model: encodeModel(narrowProducts(graph, { dtype: products })),
    x: { dtype: 'float32', shape: [rows, inner], data: x } as const,
    expected,
  };
}

/** Whether values are those of the small model, as near as its number type allows. */
export function judge(values: ArrayLike<number>, expected: readonly number[], products: ProductDtype) {
  // what is missing or no number makes the difference NaN
  const largestError = expected.reduce((most, y, i) => Math.max(most, Math.abs(y - (values[i] ?? Number.NaN))), 0);
  const works = largestError < largestAllowed[products];
  const reason = works ? null : `its numbers are off by ${largestError}`;
  return { state: works ? 'works' : 'differs', reason, largestError } as const;
}
