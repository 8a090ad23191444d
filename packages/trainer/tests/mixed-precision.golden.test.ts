import type { Graph, HostTensor, Node, ParameterSource, StoredParameter } from '@musubi/onnx-graph';

import { gradientName } from '@musubi/autodiff';
import { type LoraAdapter, loraParameters, readLora } from '@musubi/lora';
import { wan } from '@musubi/models';
import { cast, gateOnDevice, rewriteGraph } from '@musubi/onnx-graph';
import { missingCudaKernels } from '@musubi/runtime';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, isDefaultGolden } from '../../../tests/golden.ts';
import { casesOf, openCase } from '../../models/tests/wan-cases.ts';
import { type TrainingModelOptions, createTrainingModel, lowerEightBit } from '../src/index.ts';
import { type OpenModel, locate, openModel, openSession, readBatch, recordedFeeds } from './training-case.ts';

const cases = casesOf('text to video');
const narrowTypes = ['float16', 'bfloat16'] as const;
/** Half the distance between neighbouring numbers, as a share. */
const rounding = { float16: 2 ** -11, bfloat16: 2 ** -8 };

const productOperators: ReadonlySet<string> = new Set(['MatMul', 'FusedMatMul', 'Gemm']);
const productsOf = ({ nodes }: Graph) => nodes.filter(({ op }) => productOperators.has(op));
const isFloat32Part = ({ scope }: Node) => wan.float32Parts.some((part) => scope.split('/').includes(part));

test('there is a case', () => {
  if (isDefaultGolden) expect(cases.map(({ name }) => name)).not.toEqual([]);
});

/** The CPU has no product in bfloat16: operands and result are rounded here, and the product is one in float32. */
function onCpu(graph: Graph): Graph {
  return rewriteGraph(graph, (node, { target, mapAll }) => {
    if (!productOperators.has(node.op) || node.outputs[0]?.dtype !== 'bfloat16') return undefined;
    const inputs = mapAll(node.inputs).map((value) => value && cast(value, 'float32'));
    const [product] = target.node(node.op, inputs, node.attributes, { domain: node.domain });
    return [cast(product!, 'bfloat16')];
  }).graph;
}

const isStored = (name: string, shape: readonly number[]): boolean =>
  /^blocks\..*_attn.*\.weight$/.test(name) && shape.length === 2 && shape[1]! % 64 === 0;

/** The weights of the blocks in blocks of 64 codes and a scale; nothing of it is read. */
function inEightBits(source: ParameterSource, method: 'scaled' | 'int8'): ParameterSource {
  return (name) => {
    const weight = source(name.replace('.scale_weight', '.weight'));
    if (!weight || !isStored(name.replace('.scale_weight', '.weight'), weight.shape)) return source(name);
    const [rows = 0, columns = 0] = weight.shape;
    const [dtype, shape, size] = name.endsWith('.weight')
      ? ([method === 'int8' ? 'uint8' : 'float8e4m3fn', [rows, columns], 1] as const)
      : (['float32', [rows, columns / 64, 1], 4] as const);
    const length = size * shape.reduce((a, b) => a * b, 1);
    return { dtype, shape, external: { location: 'codes', offset: 0, length } };
  };
}

describe.each(cases)('$name', (wanCase) => {
  let model: OpenModel;
  let adapter: LoraAdapter;
  let feeds: Record<string, HostTensor>;
  /** Of the original. */
  const gradients = new Map<string, Float32Array>();
  let loss: number;

  beforeAll(async () => {
    model = await openModel(wanCase, wanCase.checkpoint);
    const lora = await openSafetensorsFile(goldenPath('models', 'wan', wanCase.name, 'lora.safetensors'));
    adapter = await readLora(lora);
    const golden = await openCase(wanCase);
    const [noise, t] = [await golden.readFloat32('noise'), await golden.readFloat32('batch.timesteps')];
    feeds = recordedFeeds(model, await readBatch(golden, 'batch.'), noise, t, adapter);
    [loss = NaN] = new Float64Array((await golden.read('step.loss')).slice().buffer);
    for (const { name } of loraParameters(adapter)) gradients.set(name, await golden.readFloat32(`grad.${name}`));
    await lora.close();
    await golden.close();
  });
  afterAll(() => model.close());

  const graphs = (options: Partial<TrainingModelOptions<typeof model.config>>) =>
    createTrainingModel({
      architecture: wan,
      config: model.config,
      weights: model.source(locate),
      adapter,
      ...options,
    });

  async function run(graph: Graph, scale = 1024) {
    const session = await openSession(onCpu(graph), model.folder);
    const lossScale: HostTensor = { dtype: 'float32', shape: [1], data: Float32Array.of(scale) };
    const outputs = await session.run({ ...feeds, loss_scale: lossScale });
    await session.release();
    const takesScale = graph.inputs.some(({ name }) => name === 'loss_scale');
    const found = (name: string) =>
      (outputs[gradientName(name)]!.data as Float32Array).map((x) => (takesScale ? x / scale : x));
    return { loss: Number(outputs['loss']!.data[0]), gradient: found };
  }

  /** Of all gradients as one vector. */
  function relativeError(gradient: (name: string) => Float32Array): number {
    let [difference, norm] = [0, 0];
    for (const [name, expected] of gradients) {
      const found = gradient(name);
      expected.forEach((x, i) => {
        difference += (found[i]! - x) ** 2;
        norm += x ** 2;
      });
    }
    return Math.sqrt(difference / norm);
  }

  describe.each(narrowTypes)('products in %s', (products) => {
    let [plain, checkpointed]: ReturnType<typeof graphs>[] = [];
    let found: Awaited<ReturnType<typeof run>>;
    beforeAll(async () => {
      plain = graphs({ products });
      checkpointed = graphs({ products, gradientCheckpointing: true });
      found = await run(plain.training);
    });

    test('are all but those of the parts that stay float32', () => {
      for (const graph of [plain!.training, plain!.evaluation, checkpointed!.training]) {
        for (const node of productsOf(graph)) {
          expect(node.outputs[0]!.dtype, node.name).toBe(isFloat32Part(node) ? 'float32' : products);
        }
        expect(graph.outputs.every(({ value }) => value.dtype === 'float32')).toBe(true);
        expect(graph.inputs.filter(({ dtype }) => dtype !== 'float32')).toEqual([]);
      }
    });

    test('give the loss and the gradients of the original within their rounding', () => {
      const unit = rounding[products];
      expect(Math.abs(found.loss / loss - 1)).toBeLessThan(unit / 2);
      const error = relativeError(found.gradient);
      expect(error).toBeLessThan(3 * unit);
      // float32 is a thousand times nearer
      expect(error).toBeGreaterThan(unit / 20);
    });

    test('give the same bits with activation checkpointing', async () => {
      const again = await run(checkpointed!.training);
      expect(again.loss).toBe(found.loss);
      for (const name of gradients.keys()) expect(again.gradient(name), name).toEqual(found.gradient(name));
    });

    test('have kernels on CUDA, with attention whole and in pieces', () => {
      const inPieces = graphs({ products, attention: { chunks: 4, rows: 8 }, gradientCheckpointing: true });
      for (const { training } of [plain!, checkpointed!, inPieces]) {
        expect(missingCudaKernels(gateOnDevice(training))).toEqual([]);
      }
    });

    test.each(['scaled', 'int8'] as const)('have kernels on CUDA with a base in 8 bits, %s', (method) => {
      const { training } = graphs({
        products,
        weights: inEightBits(model.source(locate), method),
        lower: lowerEightBit(method, { provider: 'cuda', forward: 'dequantize' }),
        gatesOnDevice: true,
      });
      expect(training.nodes.filter(({ op }) => op === 'DequantizeLinear').length).toBeGreaterThan(0);
      for (const node of productsOf(training)) {
        expect(node.outputs[0]!.dtype, node.name).toBe(isFloat32Part(node) ? 'float32' : products);
      }
      expect(missingCudaKernels(training)).toEqual([]);
    });

    test('read weights of that type as they lie, and widen none for a product', () => {
      const stored = (name: string): StoredParameter | undefined => {
        const weight = model.source(locate)(name);
        if (!weight) return undefined;
        return { ...weight, dtype: products, external: { ...weight.external, length: weight.external.length / 2 } };
      };
      const { training } = graphs({ products, weights: stored });
      const weights = productsOf(training).flatMap((node) =>
        isFloat32Part(node) ? [] : node.inputs.filter((value) => value?.kind === 'external'),
      );
      expect(weights.length).toBeGreaterThan(0);
      const layers = wan.lora.modules(model.config).filter(({ blockClass }) => blockClass !== null);
      expect(new Set(weights.map((value) => value!.name)).size).toBeGreaterThanOrEqual(layers.length);
      const widened = productsOf(training)
        .filter((node) => !isFloat32Part(node))
        .flatMap(({ inputs }) =>
          inputs.filter((value) => value?.producer?.inputs[0]?.producer?.inputs[0]?.kind === 'external'),
        );
      expect(widened).toEqual([]);
    });
  });
});
