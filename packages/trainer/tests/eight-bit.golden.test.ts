import type { EightBitBase } from '@musubi/config';
import type { LoraAdapter } from '@musubi/lora';
import type { Architecture, ResolvedWeights } from '@musubi/models';
import type { HostTensor, ParameterSource } from '@musubi/onnx-graph';
import type { MemoryPlan, Runtime } from '@musubi/runtime';
import type { TensorStore } from '@musubi/safetensors';

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { gradientName } from '@musubi/autodiff';
import { loraParameters, readLora } from '@musubi/lora';
import { injectLora, loraFeeds } from '@musubi/lora/graph';
import { resolveWeights, wan } from '@musubi/models';
import { Graph, createParams, encodeModel, fuseProducts, gateWeights } from '@musubi/onnx-graph';
import { dequantizeInt8 } from '@musubi/quant-fp8';
import { dequantizeFp8, fp8Source } from '@musubi/quant-fp8/graph';
import { quantizeStore } from '@musubi/quant-fp8/node';
import { planMemory } from '@musubi/runtime';
import { createNodeRuntime } from '@musubi/runtime/node';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenFolder, goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { casesOf, largest, openCase, readModelCall } from '../../models/tests/wan-cases.ts';
import { createTrainingModel, lowerEightBit } from '../src/index.ts';
import { fromHost, interpret } from '../../onnx-graph/tests/interpreter/index.ts';
import { readBatch, recordedFeeds } from './training-case.ts';

interface Fp8Case {
  readonly architecture: string;
  readonly task: string;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly checkpoint_and_lora: string;
  /** Where batch and noise are, when not in the case's own file. */
  readonly inputs?: string;
}

/** Architectures that are built, with what reads a batch of theirs. */
const built: Readonly<Record<string, typeof wan>> = { [wan.longName]: wan };

const models = goldenPath('models');
const folders = readdirSync(models, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('checkpoint_fp8.safetensors'))
  .map((path) => dirname(path));
const cases = folders
  .map((name) => ({ name, ...readGoldenJson<Fp8Case>('models', name, 'case.json') }))
  .filter(({ name, architecture }) => built[architecture] && hasGolden('models', name, 'case.safetensors'));

let runtime: Runtime;
const folder = mkdtempSync(join(tmpdir(), 'musubi-eight-bit-'));
beforeAll(async () => void (runtime = await createNodeRuntime()));
afterAll(async () => {
  await runtime.close();
  rmSync(folder, { recursive: true });
});

/** Plans that leave weights mapped from their file, and that pack them. */
const mapped = planMemory({ weightBytes: 1, integerBytes: 1, totalMemoryBytes: 1 });
const packed = { ...mapped, prepackWeights: true };

test('there is a case of 8-bit floats', () => {
  if (isDefaultGolden) expect(cases.map(({ name }) => name)).not.toEqual([]);
  expect(mapped.prepackWeights).toBe(false);
});

interface Stored {
  readonly source: ParameterSource;
  readonly store: TensorStore;
}

/** The checkpoint of a model in 8 bits, in a file of its own. */
async function quantized(
  checkpoint: TensorStore,
  model: ResolvedWeights<unknown>,
  architecture: Pick<Architecture, 'longName'>,
  method: EightBitBase['method'],
  wide = false,
): Promise<Stored> {
  const file = join(folder, `${method}-${wide}-${Math.random()}.safetensors`);
  const view: TensorStore = {
    ...checkpoint,
    tensors: new Map(Array.from(model.weights, ([name, info]) => [name, { ...info, name }])),
    metadata: {},
  };
  await quantizeStore(view, file, { method, wide, targets: architecture.longName as 'wan', workers: 1 });
  const store = await openSafetensorsFile(file);
  return { store, source: fp8Source(store) };
}

async function run(graph: Graph, feeds: Readonly<Record<string, HostTensor>>, memory: MemoryPlan = mapped) {
  const model = encodeModel(graph);
  const session = await runtime.createSession({ model, externalDataFolder: folder, memory });
  const wanted = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
  const outputs = await session.run(wanted);
  await session.release();
  return outputs;
}

async function readAdapter(path: string): Promise<LoraAdapter> {
  const store = await openSafetensorsFile(path);
  return readLora(store).finally(() => store.close());
}

describe.each(cases)('$name', ({ name, architecture: longName, task, configuration, checkpoint_and_lora, inputs }) => {
  const architecture = built[longName]!;
  const variant = join(dirname(name), /variant (\w+)/.exec(checkpoint_and_lora)?.[1] ?? '');
  let [golden, given, checkpoint]: TensorStore[] = [];
  let adapter: LoraAdapter;
  let model: ResolvedWeights<ReturnType<typeof wan.inferConfig>>;
  let stored: Stored;

  beforeAll(async () => {
    golden = await openSafetensorsFile(goldenPath('models', name, 'case.safetensors'));
    given = inputs ? await openSafetensorsFile(join(goldenFolder, 'models', name, inputs)) : golden;
    checkpoint = await openSafetensorsFile(goldenPath('models', variant, 'checkpoint.safetensors'));
    adapter = await readAdapter(goldenPath('models', variant, 'lora.safetensors'));
    model = resolveWeights(checkpoint, architecture, { task, modelConfig: configuration });
    stored = await quantized(checkpoint, model, architecture, 'scaled');
  });
  afterAll(async () => {
    for (const store of new Set([golden, given, checkpoint, stored.store])) await store?.close();
  });

  const training = async (gradientCheckpointing: boolean) => {
    const graphs = createTrainingModel({
      architecture,
      config: model.config,
      weights: stored.source,
      adapter,
      gradientCheckpointing,
      lower: lowerEightBit('scaled'),
    });
    const noise = await given!.readFloat32('noise');
    const t = await given!.readFloat32('batch.timesteps');
    const feeds = recordedFeeds({ ...model }, await readBatch(given!, 'batch.'), noise, t, adapter);
    return run(graphs.training, feeds);
  };

  // The bounds are those of the float32 cases.
  test('predicts what the original predicts', async () => {
    const base = new Graph('forward');
    const { prediction } = architecture.build(createParams(base, stored.source), model.config);
    base.output('prediction', prediction);
    const graph = lowerEightBit('scaled')(gateWeights(fuseProducts(injectLora(base, [{ adapter }]))), stored.source);
    const call = await readModelCall(given!);
    const outputs = await run(graph, { ...architecture.prepare(model.config, call), ...loraFeeds(adapter) });
    const tokens = outputs['prediction']!;
    const { data } = architecture.fromOutputTokens(model.config, tokens, call.noisyLatents.shape);
    const expected = await golden!.readFloat32('step.pred');
    expect(data).toBeAllClose(expected, { atol: 1e-5 * largest(expected) });
  });

  test.each([false, true])('has its loss and gradients, checkpointed: %s', async (gradientCheckpointing) => {
    const outputs = await training(gradientCheckpointing);
    const [loss] = new Float64Array((await golden!.read('step.loss')).slice().buffer);
    expect(outputs['loss']?.data).toBeAllClose([loss ?? NaN], { rtol: 1e-6 });

    const expected = new Map<string, Float32Array>();
    for (const { name: key } of loraParameters(adapter)) expected.set(key, await golden!.readFloat32(`grad.${key}`));
    const all = Math.max(...[...expected.values()].map(largest));
    for (const [key, gradient] of expected) {
      const atol = 1e-4 * largest(gradient) + 2e-5 * all;
      expect(outputs[gradientName(key)]?.data, key).toBeAllClose(gradient, { atol });
    }
  });
});

// What a model computes with the numbers that the codes stand for, in doubles, is what its lowered graph has to compute.
describe.each(casesOf('text to video'))('8-bit weights of $name', (wanCase) => {
  let [golden, checkpoint]: TensorStore[] = [];
  let adapter: LoraAdapter;
  let model: ResolvedWeights<ReturnType<typeof wan.inferConfig>>;
  let feeds: Record<string, HostTensor>;
  let float32: Float32Array;
  const stored = new Map<EightBitBase['method'] | 'wide', Stored>();

  beforeAll(async () => {
    golden = await openCase(wanCase);
    checkpoint = await openSafetensorsFile(wanCase.checkpoint);
    adapter = await readAdapter(goldenPath('models', 'wan', wanCase.name, 'lora.safetensors'));
    const { task, configuration } = wanCase;
    model = resolveWeights(checkpoint, wan, { task, modelConfig: configuration });
    for (const method of ['scaled', 'cast', 'int8'] as const) {
      stored.set(method, await quantized(checkpoint, model, wan, method));
    }
    stored.set('wide', await quantized(checkpoint, model, wan, 'scaled', true));
    feeds = { ...wan.prepare(model.config, await readModelCall(golden)), ...loraFeeds(adapter) };
    float32 = await golden.readFloat32('step.pred');
  });
  afterAll(async () => {
    await golden?.close();
    await checkpoint?.close();
    for (const { store } of stored.values()) await store.close();
  });

  const forward = (source: ParameterSource) => {
    const base = new Graph('forward');
    base.output('prediction', wan.build(createParams(base, source), model.config).prediction);
    return injectLora(base, [{ adapter }]);
  };
  const lowered = (method: EightBitBase['method'], options = {}) => {
    const { source } = stored.get(method)!;
    return lowerEightBit(method, options)(gateWeights(fuseProducts(forward(source))), source);
  };
  const latents = async ({ prediction }: Record<string, HostTensor>) => {
    const { noisyLatents } = await readModelCall(golden!);
    return wan.fromOutputTokens(model.config, prediction!, noisyLatents.shape).data as Float32Array;
  };

  /** The model in doubles, its weights dequantized here. */
  const inDoubles = async (method: EightBitBase['method']) => {
    const { store } = stored.get(method)!;
    const numbers = new Map<string, Float32Array>();
    for (const { name, dtype } of store.tensors.values()) {
      if (name.endsWith('.scale_weight')) continue;
      const scale = name.endsWith('.weight') ? store.tensors.get(name.replace(/weight$/, 'scale_weight')) : undefined;
      const values = dtype === 'U8' ? Float32Array.from(await store.read(name)) : await store.readFloat32(name);
      if (!scale) numbers.set(name, values);
      else {
        const scales = await store.readFloat32(scale.name);
        const size = values.length / scales.length;
        numbers.set(
          name,
          dtype === 'U8'
            ? dequantizeInt8({ codes: await store.read(name), scales })
            : values.map((value, i) => value * scales[Math.floor(i / size)]!),
        );
      }
    }
    const graph = forward(stored.get(method)!.source);
    const given = Object.fromEntries(graph.inputs.map(({ name }) => [name, fromHost(feeds[name]!)]));
    const external = ({ name, shape }: { name: string; shape: readonly (number | string)[] }) => ({
      shape: shape.map(Number),
      data: Float64Array.from(numbers.get(name)!),
    });
    const { prediction } = interpret(graph, given, { external: external as never });
    return latents({
      prediction: { dtype: 'float32', shape: prediction!.shape, data: Float32Array.from(prediction!.data) },
    });
  };

  // Doubles take seconds: the smallest model is enough.
  test.runIf(wanCase === casesOf('text to video').at(-1)).each([
    ['scaled', [{}]],
    ['cast', [{}]],
    ['int8', [{ forward: 'dequantize' }, { forward: 'product', accuracyLevel: 0 }]],
  ] as const)('%s is what a model in doubles computes with the same numbers', async (method, lowerings) => {
    const expected = await inDoubles(method);
    // The quantization itself is larger than the bound below.
    expect(largest(expected.map((value, i) => value - float32[i]!))).toBeGreaterThan(1e-3 * largest(float32));
    for (const options of lowerings) {
      const found = await latents(await run(lowered(method, options), feeds));
      expect(found).toBeAllClose(expected, { atol: 1e-5 * largest(expected) });
    }
  });

  test('a table of all codes gives the same bits as 8-bit floats', async () => {
    const { source } = stored.get('wide')!;
    const graph = gateWeights(fuseProducts(forward(source)));
    const outputs = [];
    for (const codes of ['float8', 'table'] as const) {
      const changed = dequantizeFp8(graph, source, { codes, style: 'cast' });
      const dtypes = new Set(changed.initializers.map(({ dtype }) => dtype));
      expect(dtypes.has('float8e4m3fn')).toBe(codes === 'float8');
      if (codes === 'table') expect([...dtypes].filter((dtype) => /float(?:8|16)/.test(dtype))).toEqual([]);
      outputs.push(await latents(await run(changed, feeds)));
    }
    expect(outputs[1]).toEqual(outputs[0]);
  });

  test.each([
    ['mapped', { forward: 'dequantize' }, mapped],
    ['packed', { forward: 'product' }, packed],
  ] as const)('8-bit integers are within a hundredth of float32, weights %s', async (_, options, memory) => {
    const found = await latents(await run(lowered('int8', options), feeds, memory));
    const differences = found.map((value, i) => value - float32[i]!);
    expect(largest(differences)).toBeLessThan(0.01 * largest(float32));
  });
});
