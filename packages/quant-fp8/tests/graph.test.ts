import { join } from 'node:path';
import {
  Graph,
  cast,
  createParams,
  encodeModel,
  fuseProducts,
  gateWeights,
  linear,
  matmul,
  transpose,
} from '@musubi/onnx-graph';
import type { DataType, ParameterSource, Value } from '@musubi/onnx-graph';
import { createNodeRuntime } from '@musubi/runtime/node';
import type { Runtime } from '@musubi/runtime';
import { toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import type { TensorToWrite } from '@musubi/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FP8_FORMATS, decodeFp8, dequantizeWeight, encodeFp8, quantizeWeight, scaleBytes } from '../src/index.ts';
import type { Fp8Format, Fp8Mode, WeightDtype } from '../src/index.ts';
import { dequantizeFp8, fp8Source } from '../src/graph.ts';
import type { DequantizeOptions } from '../src/graph.ts';
import { randomTensor, temporaryFolder } from './fixtures.ts';

let runtime: Runtime;
beforeAll(async () => void (runtime = await createNodeRuntime()));
afterAll(() => runtime.close());

const dtypeOf = { e4m3: 'float8e4m3fn', e5m2: 'float8e5m2' } as const satisfies Record<Fp8Format, DataType>;

describe.each(['e4m3', 'e5m2'] as const)("ONNX Runtime's Cast of %s", (format) => {
  test('decodes every code as we do', async () => {
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    const decoded = await runModel(
      [{ name: 'w', dtype: FP8_FORMATS[format].dtype, shape: [256], data: codes }],
      (graph, source) => cast(createParams(graph, source).stored('w', [256]), 'float32'),
    );
    expect(decoded).toEqual(decodeFp8(codes, format));
  });

  // Every bf16 number, and for every two neighbouring codes the number between them and those next to it.
  const bf16 = toFloat32(new Uint8Array(Uint16Array.from({ length: 65536 }, (_, code) => code).buffer), 'BF16');
  const values = Float32Array.from([...bf16.filter((x) => !Number.isNaN(x)), ...betweenCodes(format)]);
  const { max, smallestNormal, mantissaBits } = FP8_FORMATS[format];
  /** From here on a number is nearer to what would be the next one than to the largest. */
  const limit = max + max / (2 ** (mantissaBits + 1) - 1 - (format === 'e4m3' ? 1 : 0)) / 2;

  test('encodes every number in range as we do, and saturates where we do not', async () => {
    expect(limit).toBe(format === 'e4m3' ? 464 : 61440);
    const back = await runModel(
      [],
      (graph) => {
        const x = graph.input('x', 'float32', [values.length]);
        return cast(cast(x, dtypeOf[format]), 'float32');
      },
      { x: { dtype: 'float32', shape: [values.length], data: values } },
    );
    const ours = decodeFp8(encodeFp8(values, format), format);
    const isInRange = (x: number) => (format === 'e4m3' ? Math.abs(x) <= limit : Math.abs(x) < limit);
    const inRange = (list: Float32Array) => list.filter((_, i) => isInRange(values[i]!));
    expect(inRange(ours).length).toBeGreaterThan(30_000);
    expect(inRange(ours).some((x) => x !== 0 && Math.abs(x) < smallestNormal)).toBe(true);
    expect(inRange(back)).toEqual(inRange(ours));
    const beyond = (list: Float32Array) => new Set(list.filter((_, i) => values[i]! > 0 && !isInRange(values[i]!)));
    expect(beyond(back)).toEqual(new Set([max]));
    expect(beyond(ours)).toEqual(new Set([format === 'e4m3' ? NaN : Infinity]));
  });
});

describe('dequantizeFp8 gives the numbers of dequantizeWeight on ONNX Runtime', () => {
  const [out, width] = [24, 192];
  const modes = ['tensor', 'channel', 'block'] as const;
  const dtypes = ['F32', 'BF16', 'F16'] as const;
  const styles = ['cast', 'linear', 'bits'] as const;
  const cases = styles.flatMap((style) =>
    modes.flatMap((mode) =>
      dtypes.flatMap((dtype) => (['e4m3', 'e5m2'] as const).map((format) => [style, mode, dtype, format] as const)),
    ),
  );

  test.each(cases)('style %s, mode %s, scales %s, %s', async (style, mode, dtype, format) => {
    const { tensors, expected } = quantizedLayer({ mode, dtype, format });
    for (const order of ['before', 'after'] as const) {
      const y = await runLayer(tensors, style === 'bits' ? { codes: style } : { style }, order);
      expect(y, `${order} gateWeights`).toEqual(expected);
    }
  });

  test('without rounding it is the product itself', async () => {
    const { tensors, quantized } = quantizedLayer({ mode: 'block', dtype: 'BF16', format: 'e4m3' });
    const { codes, scales } = quantized;
    const exact = decodeFp8(codes, 'e4m3').map((q, i) => q * scales[Math.floor(i / 64)]!);
    expect(await runLayer(tensors, { round: false }, 'before')).toEqual(exact);
    expect(exact).not.toEqual(dequantizeWeight(quantized));
  });

  test('a weight without scale is taken as it is', async () => {
    const { tensors, quantized } = quantizedLayer({ mode: 'block', dtype: 'BF16', format: 'e4m3' });
    const cut = tensors.filter(({ name }) => name !== 'a.scale_weight');
    expect(await runLayer(cut, {}, 'before')).toEqual(decodeFp8(quantized.codes, 'e4m3'));
  });

  test('also outside of a product, and beside 16-bit weights', async () => {
    const { tensors, quantized } = quantizedLayer({ mode: 'channel', dtype: 'F16', format: 'e5m2' });
    const bias = randomTensor('b.weight', [out, width], 'BF16', 7);
    const y = await runModel([...tensors, bias], (graph, source) => {
      const params = createParams(graph, source);
      const parts = ['a', 'b'].map((name) => params.at(name).tensor('weight', [out, width]));
      return matmul(parts[0]!, transpose(parts[1]!, [1, 0]));
    });
    const [a, b] = [dequantizeWeight(quantized), toFloat32(bias.data, 'BF16')];
    const product = Float64Array.from({ length: out * out }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += a[Math.floor(i / out) * width + k]! * b[(i % out) * width + k]!;
      return sum;
    });
    // float32 sums of 192 products
    expect(y).toBeAllClose(product, { rtol: 0, atol: 1e-5 });
  });

  test('large weights are multiplied in pieces', async () => {
    const [rows, columns] = [4100, 4160];
    // Whole numbers, whose sums are exact in any order.
    const some = encodeFp8(Float32Array.of(0, 1, 2, -1, -3, 0.5, 4), 'e4m3');
    const codes = Uint8Array.from({ length: rows * columns }, (_, i) => some[(i * 5 + (i >> 9)) % some.length]!);
    const scales = Float32Array.from({ length: rows * (columns / 64) }, (_, i) => 2 * (1 + (i % 3)));
    const x = Float32Array.from({ length: columns }, (_, i) => (i % 512 === 3 ? 1 : 0));
    const tensors: TensorToWrite[] = [
      { name: 'a.weight', dtype: 'F8_E4M3', shape: [rows, columns], data: codes },
      { name: 'a.scale_weight', dtype: 'F32', shape: [rows, columns / 64, 1], data: new Uint8Array(scales.buffer) },
    ];
    const products: number[] = [];
    const run = (options: DequantizeOptions) =>
      runModel(
        tensors,
        (graph, source) => {
          const weight = createParams(graph, source).at('a').tensor('weight', [rows, columns]);
          return matmul(matmul(graph.input('x', 'float32', ['t', columns]), transpose(weight, [1, 0])), weight);
        },
        { x: { dtype: 'float32', shape: [1, columns], data: x } },
        (graph, source) => {
          const changed = dequantizeFp8(fuseProducts(graph), source, options);
          products.push(changed.nodes.filter(({ op }) => op.endsWith('MatMul')).length);
          return gateWeights(changed);
        },
      );
    const [whole, inPieces] = [await run({}), await run({ codes: 'bits' })];
    expect(products).toEqual([2, 4]);
    expect(inPieces).toEqual(whole);
    expect(new Set(whole).size).toBeGreaterThan(100);
  });

  test('a scale that does not fit is refused', () => {
    const graph = new Graph('misfit');
    graph.output('y', createParams(graph, misfit).at('a').tensor('weight', [4, 64]));
    expect(() => dequantizeFp8(graph, misfit)).toThrowErrorMatchingInlineSnapshot(
      `[Fp8Error: the scale of a.weight has shape [3, 1], which does not fit a weight [4, 64]. Scales are [], [out, 1] or [out, blocks, 1].]`,
    );
  });

  function quantizedLayer({ mode, dtype, format }: { mode: Fp8Mode; dtype: WeightDtype; format: Fp8Format }) {
    const weight = randomTensor('a.weight', [out, width], dtype, 3);
    const quantized = quantizeWeight({ dtype, shape: weight.shape, data: weight.data }, { mode, format });
    const tensors: TensorToWrite[] = [
      { name: 'a.weight', dtype: FP8_FORMATS[format].dtype, shape: weight.shape, data: quantized.codes },
      { name: 'a.scale_weight', dtype, shape: quantized.scaleShape, data: scaleBytes(quantized) },
    ];
    return { tensors, quantized, expected: dequantizeWeight(quantized) };
  }

  /** The weight that a layer multiplies with: its products with the unit vectors. */
  async function runLayer(tensors: TensorToWrite[], options: DequantizeOptions, order: 'before' | 'after') {
    const unit = Float32Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0));
    const x = { dtype: 'float32', shape: [width, width], data: unit } as const;
    const change = (graph: Graph, source: ParameterSource) =>
      order === 'before'
        ? gateWeights(dequantizeFp8(fuseProducts(graph), source, options))
        : dequantizeFp8(gateWeights(fuseProducts(graph)), source, options);
    return await runModel(
      tensors,
      (graph, source) => {
        const input = graph.input('x', 'float32', ['t', width]);
        return transpose(linear(input, createParams(graph, source).at('a'), width, out), [1, 0]);
      },
      { x },
      change,
    );
  }
});

const misfit: ParameterSource = (name) => ({
  dtype: name === 'a.weight' ? 'float8e4m3fn' : 'float32',
  shape: name === 'a.weight' ? [4, 64] : [3, 1],
  external: { location: 'm', offset: 0, length: name === 'a.weight' ? 256 : 12 },
});

/** Builds a model on a file of these tensors, runs it with constants left as they are and returns its output. */
async function runModel(
  tensors: TensorToWrite[],
  build: (graph: Graph, source: ParameterSource) => Value,
  feeds: Parameters<Awaited<ReturnType<Runtime['createSession']>>['run']>[0] = {},
  change = (graph: Graph, source: ParameterSource) => gateWeights(dequantizeFp8(fuseProducts(graph), source)),
): Promise<Float32Array> {
  const folder = temporaryFolder();
  const path = join(folder, 'weights.safetensors');
  await writeSafetensorsFile(path, tensors);
  const store = await openSafetensorsFile(path);
  const source = fp8Source(store);
  const graph = new Graph('test');
  graph.output('y', build(graph, source));
  const session = await runtime.createSession({
    model: encodeModel(change(graph, source)),
    externalDataFolder: folder,
  });
  const { y } = await session.run(feeds);
  await session.release();
  await store.close();
  return y!.data as Float32Array;
}

/** For every two neighbouring codes, the number halfway between them and the float32 next to it on both sides, of both signs. */
function betweenCodes(format: Fp8Format): number[] {
  const values = decodeFp8(
    Uint8Array.from({ length: 127 }, (_, code) => code),
    format,
  ).filter(Number.isFinite);
  const middles = values.subarray(1).map((value, i) => (value + values[i]!) / 2);
  const words = new Uint32Array(middles.buffer, middles.byteOffset, middles.length);
  const around = [-1, 0, 1].flatMap((step) => [...new Float32Array(words.map((word) => word + step).buffer)]);
  return [...values, ...around].flatMap((x) => [x, -x]);
}
