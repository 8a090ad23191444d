import { add, cast, copyNode, formatShape, mul, rewriteGraph, weightInFile, wideWeight } from '@musubi/onnx-graph';
import type { Graph, Node, ParameterSource, Shape, Value } from '@musubi/onnx-graph';
import { hasDropout } from '../dropout.ts';
import type { DropoutOptions } from '../dropout.ts';
import { LoraError } from '../errors.ts';
import { findLayers } from './layers.ts';
import type { Layer } from './layers.ts';
import { dropoutName, updateOf } from './updates.ts';
import type { ModuleSizes } from './updates.ts';

/** An adapter and how it enters the graph. */
export interface InjectedAdapter {
  /** sizes and alphas; weights are not looked at */
  readonly adapter: { readonly modules: readonly ModuleSizes[] };
  /** factor of the whole adapter, default 1 (`--base_weights_multiplier`) */
  readonly multiplier?: number;
  /** stands before the names of its weights, default nothing; two adapters need two prefixes */
  readonly prefix?: string;
  /** where the weights of a frozen adapter lie: they become initializers. Without it they are inputs of the graph. */
  readonly source?: ParameterSource;
  /** takes a mask a module as input, `<prefix><module>.dropout`; `drawDropout` makes its values */
  readonly dropout?: DropoutOptions;
}

/**
 * A forward graph in which linear layers carry adapters:
 *
 *     y = x·Wᵀ + b + (multiplier·alpha/rank · x·downᵀ)·upᵀ
 *
 * LoHa and LoKr: see `ProductModule`.
 *
 * A layer is a `MatMul` whose right side is the transpose of the weight `<path>.weight` (through a `Cast`); its
 * adapter is the module called `loraName(path)`. Inject before products are fused and weights are gated.
 *
 * @param adapters e.g. the one in training, whose weights become float32 inputs named like the keys of its file
 *   (`lora_unet_….lora_down.weight` `[rank, in]`, `….lora_up.weight` `[out, rank]`), and frozen ones from `--base_weights`
 * @throws {LoraError} `TARGET_NOT_FOUND` when the graph lacks a layer or `source` a weight, `SHAPE_MISMATCH`,
 *   `DUPLICATE_NAME` when two adapters have one prefix
 */
export function injectLora(graph: Graph, adapters: readonly InjectedAdapter[]): Graph {
  assertDistinctPrefixes(adapters);
  const updates = planUpdates(graph, adapters);
  const weights = new Map<string, Value>();
  return rewriteGraph(graph, (node, rewriter) => {
    const here = updates.get(node);
    if (!here) return undefined;
    let [y] = copyNode(node, rewriter) as [Value];
    for (const update of here) {
      const x = cast(rewriter.map(update.x), 'float32');
      const delta = rewriter.target.within('lora', () => deltaOf(x, update, rewriter.target, weights));
      // A base in another precision is left once: the sum is rounded, not the adapter's part.
      y = cast(add(cast(y, 'float32'), delta), y.dtype);
    }
    return [y];
  }).graph;
}

function assertDistinctPrefixes(adapters: readonly InjectedAdapter[]): void {
  const prefixes = adapters.map(({ prefix = '' }) => prefix);
  const twice = prefixes.find((prefix, i) => prefixes.indexOf(prefix) !== i);
  if (twice === undefined) return;
  const remedy = 'Give each adapter a prefix of its own, e.g. "base_weights.0/".';
  throw new LoraError('DUPLICATE_NAME', `two adapters have the prefix "${twice}".`, remedy, { found: twice });
}

type InjectedModule = ModuleSizes;

/** One adapter on one use of a layer. */
interface Update {
  readonly x: Value;
  readonly module: InjectedModule;
  readonly injected: InjectedAdapter;
}

/** What is added behind which node. */
function planUpdates(graph: Graph, adapters: readonly InjectedAdapter[]): ReadonlyMap<Node, readonly Update[]> {
  const layers = findLayers(graph);
  const updates = new Map<Node, Update[]>();
  for (const injected of adapters) {
    for (const module of injected.adapter.modules) {
      const found = layers.get(module.name);
      if (!found) throw layerNotFound(module.name, layers);
      for (const layer of found) {
        assertFits(module, layer);
        updates.set(layer.end, [...(updates.get(layer.end) ?? []), { x: layer.x, module, injected }]);
      }
    }
  }
  return updates;
}

/** What a module adds to its layer's output. */
function deltaOf(x: Value, { module, injected }: Update, graph: Graph, weights: Map<string, Value>): Value {
  const { prefix = '', multiplier = 1, dropout = {} } = injected;
  const isDropped = hasDropout(dropout, module.kind);
  return updateOf(module, x, {
    multiplier,
    weight: (part, shape) => adapterWeight(`${module.name}.${part}`, shape, injected, graph, weights),
    mask: (y, shape) =>
      isDropped ? mul(y, maskInput(`${prefix}${dropoutName(module)}`, shape(dropout), graph, weights)) : y,
  });
}

/** A layer that is used twice has one mask. */
function maskInput(name: string, shape: Shape, graph: Graph, known: Map<string, Value>): Value {
  const value = known.get(name) ?? graph.input(name, 'float32', shape);
  known.set(name, value);
  return value;
}

/** The weight as float32: an input, or an initializer where the file lies. Made once, however often a layer is used. */
function adapterWeight(
  key: string,
  shape: readonly number[],
  { prefix = '', source }: InjectedAdapter,
  graph: Graph,
  weights: Map<string, Value>,
): Value {
  const name = `${prefix}${key}`;
  const known = weights.get(name);
  if (known) return known;
  const value = source ? storedWeight(name, key, shape, source, graph) : graph.input(name, 'float32', shape);
  weights.set(name, value);
  return value;
}

function storedWeight(
  name: string,
  key: string,
  shape: readonly number[],
  source: ParameterSource,
  graph: Graph,
): Value {
  const stored = source(key);
  if (!stored) {
    const remedy = 'Give the file that the adapter was read from.';
    throw new LoraError('TARGET_NOT_FOUND', `the frozen adapter has no "${key}".`, remedy, { module: key });
  }
  const [found, expected] = [formatShape(stored.shape), formatShape(shape)];
  if (found !== expected) {
    const remedy = 'Give the file that the adapter was read from.';
    const problem = `"${key}" is ${found} in its file, expected ${expected}.`;
    throw new LoraError('SHAPE_MISMATCH', problem, remedy, { module: key, found, expected });
  }
  return wideWeight(weightInFile(graph, name, stored), name);
}

function assertFits({ name, inFeatures, outFeatures }: InjectedModule, { path, weight }: Layer): void {
  const [found, expected] = [formatShape([outFeatures, inFeatures]), formatShape(weight.shape)];
  if (found === expected) return;
  throw new LoraError(
    'SHAPE_MISMATCH',
    `${name} is made for a layer ${found}, but ${path}.weight is ${expected} [out, in].`,
    'Use an adapter of the same model.',
    { module: name, found, expected },
  );
}

function layerNotFound(name: string, layers: ReadonlyMap<string, readonly Layer[]>): LoraError {
  const [known] = layers.keys();
  return new LoraError(
    'TARGET_NOT_FOUND',
    `the model has no linear layer for ${name}; it has ${layers.size}${known ? `, with names like ${known}` : ''}.`,
    'Use an adapter of the same model.',
    { module: name },
  );
}
