import { Graph, add, cast, createParams, linear, mul } from '@musubi/onnx-graph';
import type { DataType, Value } from '@musubi/onnx-graph';
import { bytesSource, encodeSafetensors, openSafetensors } from '@musubi/safetensors';
import { describe, expect, test } from 'vitest';
import { createRandom, interpret, randomTensor, tensor } from '../../../onnx-graph/tests/interpreter/index.ts';
import { adapterSource, injectLora, loraFeeds } from '../graph.ts';
import { createLora, loraFile } from '../index.ts';

const sizes: Record<string, number[]> = {
  'a.weight': [4, 3],
  'a.bias': [4],
  'b.weight': [3, 4],
};

/**
 * `y = b(a(x))`, then once more through `a`, so that a layer is used twice.
 *
 * @param transposed whether the matrices lie transposed in their file
 */
function model(dtype: DataType = 'float32', transposed = false): Graph {
  const graph = new Graph('model');
  const width = dtype === 'float32' ? 4 : 2;
  const params = createParams(graph, (name) => {
    const shape = sizes[name];
    if (!shape) return undefined;
    const length = shape.reduce((product, size) => product * size, width);
    const strides = transposed && shape.length === 2 ? { strides: [1, shape[0]!] } : {};
    return { dtype, shape, external: { location: 'model', offset: 0, length }, ...strides };
  });
  const x = graph.input('x', 'float32', ['B', 3]);
  const b = graph.within('blocks.0', () => linear(linear(x, params.at('a'), 3, 4), params.at('b'), 4, 3));
  graph.output('y', linear(b, params.at('a'), 3, 4));
  return graph;
}

const random = createRandom(3);
const stored = new Map(Object.entries(sizes).map(([name, shape]) => [name, randomTensor(random, shape)]));
const x = randomTensor(random, [2, 3]);

/** An adapter with random weights on both layers. */
function adapter(rank: number, alpha: number, seed: number) {
  const numbers = createRandom(seed);
  const uniform = (count: number) => Float32Array.from(randomTensor(numbers, [count]).data);
  const modules = [
    { path: 'a', inFeatures: 3, outFeatures: 4 },
    { path: 'b', inFeatures: 4, outFeatures: 3 },
  ];
  const created = createLora({ modules, rank, alpha, generator: { uniform, skip: () => {} } });
  for (const { up } of created.modules) up.set(uniform(up.length));
  return created;
}

function feedsOf(lora: ReturnType<typeof adapter>, prefix?: string) {
  const feeds = Object.entries(loraFeeds(lora, prefix));
  return Object.fromEntries(
    feeds.map(([name, { shape, data }]) => [name, tensor([...shape], Array.from(data as Float32Array))]),
  );
}

const run = (graph: Graph, feeds = {}, external = (value: Value) => stored.get(value.name)!) =>
  interpret(graph, { x, ...feeds }, { external })['y']!.data;

/** The model with the adapters merged into its weights. */
function merged(...adapters: [ReturnType<typeof adapter>, number][]) {
  const weights = new Map(Array.from(stored, ([name, { shape, data }]) => [name, tensor([...shape], [...data])]));
  for (const [lora, multiplier] of adapters) {
    for (const { name, rank, alpha, inFeatures, outFeatures, down, up } of lora.modules) {
      const { data } = weights.get(`${name.replace('lora_unet_', '')}.weight`)!;
      for (let o = 0; o < outFeatures; o++) {
        for (let i = 0; i < inFeatures; i++) {
          let sum = 0;
          for (let r = 0; r < rank; r++) sum += up[o * rank + r]! * down[r * inFeatures + i]!;
          data[o * inFeatures + i]! += (multiplier * alpha * sum) / rank;
        }
      }
    }
  }
  return run(model(), {}, (value) => weights.get(value.name)!);
}

/** What a file with transposed matrices holds. */
const turnedWeights = ({ name }: Value) => {
  const weight = stored.get(name.replace('.stored', ''))!;
  const [rows, columns = 1] = weight.shape as [number, number?];
  if (!name.endsWith('.stored')) return weight;
  const turned = Array.from(weight.data, (_, i) => weight.data[(i % rows) * columns + Math.floor(i / rows)]!);
  return tensor([columns, rows], turned);
};

describe('injectLora', () => {
  test('equals an adapter merged into the weights, on every use of a layer', () => {
    const lora = adapter(2, 3, 1);
    const injected = injectLora(model(), [{ adapter: lora }]);
    expect(run(injected, feedsOf(lora))).toBeAllClose(merged([lora, 1]), { rtol: 1e-12, atol: 1e-12 });
  });

  test('adds a trained and a frozen adapter', async () => {
    const [trained, frozen] = [adapter(2, 3, 1), adapter(1, 1, 2)];
    const { tensors } = await loraFile(frozen);
    const store = await openSafetensors(bytesSource(await encodeSafetensors(tensors), 'base.safetensors'));
    const source = adapterSource(store, (file) => `loras/${file}`);
    const injected = injectLora(model(), [
      { adapter: frozen, multiplier: 0.5, prefix: 'base_weights.0/', source },
      { adapter: trained },
    ]);
    expect(injected.inputs.map(({ name }) => name)).toEqual(['x', ...Object.keys(feedsOf(trained))]);

    const down = injected.find('base_weights.0/lora_unet_a.lora_down.weight')!;
    const info = store.tensors.get('lora_unet_a.lora_down.weight')!;
    expect(down.external).toEqual({ location: 'loras/base.safetensors', offset: info.offset, length: info.byteLength });

    const known = feedsOf(frozen, 'base_weights.0/');
    const external = (value: Value) => stored.get(value.name) ?? known[value.name]!;
    expect(run(injected, feedsOf(trained), external)).toBeAllClose(merged([frozen, 0.5], [trained, 1]), {
      rtol: 1e-12,
      atol: 1e-12,
    });
  });

  test('can be applied to its own result', () => {
    const [one, two] = [adapter(2, 3, 1), adapter(1, 1, 2)];
    const once = injectLora(model(), [{ adapter: one, prefix: 'one/' }]);
    const twice = injectLora(once, [{ adapter: two }]);
    const feeds = { ...feedsOf(one, 'one/'), ...feedsOf(two) };
    expect(run(twice, feeds)).toBeAllClose(merged([one, 1], [two, 1]), { rtol: 1e-12, atol: 1e-12 });
  });

  test.each(['float32', 'bfloat16'] as const)('finds %s weights that lie transposed in their file', (dtype) => {
    const lora = adapter(2, 2, 1);
    const injected = injectLora(model(dtype, true), [{ adapter: lora }]);
    expect(run(injected, feedsOf(lora), turnedWeights)).toBeAllClose(merged([lora, 1]), { rtol: 1e-12, atol: 1e-12 });
  });

  test('finds weights behind a Cast and leaves the given graph alone', () => {
    const graph = model('bfloat16');
    const nodes = graph.nodes.length;
    const lora = adapter(2, 2, 1);
    const injected = injectLora(graph, [{ adapter: lora }]);
    expect(graph.nodes.length).toBe(nodes);
    expect(run(injected, feedsOf(lora))).toBeAllClose(merged([lora, 1]), { rtol: 1e-12, atol: 1e-12 });
  });

  test('adds behind the bias, in the scope of the layer', () => {
    const injected = injectLora(model(), [{ adapter: adapter(2, 3, 1) }]);
    const sum = injected.nodes.find(({ scope, op }) => op === 'Add' && scope === 'blocks.0')!;
    expect(sum.inputs[1]?.name).toBe('a.bias');
    expect(injected.nodes.some(({ scope }) => scope === 'blocks.0/lora')).toBe(true);
  });

  test('leaves a half-precision base in its precision', () => {
    const graph = new Graph('half');
    const half = cast(graph.input('x', 'float32', [2, 3]), 'float16');
    const weight = graph.external('a.weight', 'float16', [4, 3], { location: 'm', offset: 0, length: 24 });
    const [transposed] = graph.node('Transpose', [weight], { perm: [1, 0] });
    const [y] = graph.node('MatMul', [half, transposed!]);
    graph.output('y', mul(add(y!, y!), y!));
    const { modules } = adapter(2, 3, 1);
    const injected = injectLora(graph, [{ adapter: { modules: modules.slice(0, 1) } }]);
    expect(injected.outputs[0]!.value.dtype).toBe('float16');
    expect(injected.find('lora_unet_a.lora_up.weight')!.dtype).toBe('float32');
  });

  const lora = adapter(2, 3, 1);
  const [first] = lora.modules;
  test.each([
    [
      'a module that the graph lacks',
      [{ adapter: { modules: [{ ...first!, name: 'lora_unet_c' }] } }],
      'TARGET_NOT_FOUND',
    ],
    ['another size', [{ adapter: { modules: [{ ...first!, inFeatures: 5 }] } }], 'SHAPE_MISMATCH'],
    ['a file without the weight', [{ adapter: lora, source: () => undefined }], 'TARGET_NOT_FOUND'],
    ['two adapters with one prefix', [{ adapter: lora }, { adapter: lora }], 'DUPLICATE_NAME'],
  ])('refuses %s', (_, adapters, code) => {
    expect(() => injectLora(model(), adapters)).toThrow(expect.objectContaining({ name: 'LoraError', code }));
  });

  test('names the layer that is missing', () => {
    const adapters = [{ adapter: { modules: [{ ...first!, name: 'lora_unet_c' }] } }];
    expect(() => injectLora(model(), adapters)).toThrowErrorMatchingInlineSnapshot(
      `[LoraError: the model has no linear layer for lora_unet_c; it has 2, with names like lora_unet_a. Use an adapter of the same model.]`,
    );
  });
});
