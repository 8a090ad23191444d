import type { Graph, Node, Value } from '@musubi/onnx-graph';

import { consumersOf, nodesNeeded } from '@musubi/onnx-graph';
import { runsOn } from '@musubi/runtime';
import { describe, expect, test } from 'vitest';

import { casesOf } from '../../models/tests/wan-cases.ts';
import { type GraphForm, type ModelHeader, benchModel, graphForms, graphsOf } from './graph-forms.ts';
import { openModel } from './training-case.ts';

/** Read the header and nothing else. */
async function goldenHeader(wanCase: (typeof cases)[number]): Promise<ModelHeader> {
  const model = await openModel(wanCase, wanCase.checkpoint);
  await model.close();
  return model;
}

/** One is enough: they differ in sizes and numbers, not in the nodes of their blocks. */
const cases = casesOf('text to video').slice(0, 1);
const models: readonly (readonly [name: string, open: () => Promise<ModelHeader> | ModelHeader])[] = [
  ['the bench model', benchModel],
  ...cases.map((wanCase) => [wanCase.name, () => goldenHeader(wanCase)] as const),
];
const forms = Object.entries(graphForms);

describe.each(models)('graphs of %s', (_, open) => {
  const built = new Map<GraphForm, Promise<readonly Graph[]>>();
  const graphsIn = (form: GraphForm) => {
    const graphs = built.get(form) ?? build(open, form);
    built.set(form, graphs);
    return graphs;
  };

  describe.each(forms)('%s', (_form, form) => {
    const both = () => graphsIn(form);

    test('no transpose is left that a product reads in place', async () => {
      for (const graph of await both()) {
        const consumers = consumersOf(graph);
        const reads = (value: Value) => (other: Node) =>
          writesTransposed(other, form) || (isProduct(other) && other.inputs[1] === value && value.shape.length === 2);
        const isSole = (value: Value | null | undefined) =>
          value && consumers(value).length === 1 && !isOutput(graph, value);
        const absorbed = graph.nodes.filter((node) => {
          if (node.op !== 'Transpose' || !swapsLastTwo(node)) return false;
          const [from] = node.inputs;
          const result = node.outputs[0]!;
          return consumers(result).some(reads(result)) || (isSole(from) && writesTransposed(from?.producer, form));
        });
        expect(namesOf(absorbed)).toEqual([]);
      }
    });

    test('no transpose undoes another, and no cast follows a cast', async () => {
      for (const graph of await both()) {
        const undone = graph.nodes.filter((node) => {
          const before = node.inputs[0]?.producer;
          if (before?.op !== node.op) return false;
          return node.op === 'Cast' || (node.op === 'Transpose' && isIdentity(before, node));
        });
        expect(namesOf(undone)).toEqual([]);
        // nor is there one to the type that it has
        expect(
          namesOf(graph.nodes.filter((n) => n.op === 'Cast' && n.inputs[0]?.dtype === n.outputs[0]?.dtype)),
        ).toEqual([]);
      }
    });

    test('nothing is narrowed twice, nor what was narrow', async () => {
      for (const graph of await both()) {
        const narrowing = graph.nodes.filter((node) => isNarrowing(node) && !isOfWeight(node));
        const origins = narrowing.map((node) => originOf(node.inputs[0]!));
        const widened = origins.filter(({ producer }) => producer?.op === 'Cast');
        expect(widened.map(({ name }) => name)).toEqual([]);
        const names = origins.map(({ name }) => name);
        expect(names).toEqual([...new Set(names)]);
        expect(names.length > 0).toBe(form.products !== undefined);
      }
    });

    test('no two nodes compute the same', async () => {
      for (const graph of await both()) {
        const seen = new Map<string, string>();
        const twice: string[] = [];
        for (const node of graph.nodes) {
          const key = JSON.stringify([
            node.domain,
            node.op,
            Object.entries(node.attributes).toSorted(),
            inputNames(node),
          ]);
          const first = seen.get(key);
          if (first !== undefined) twice.push(`${first} and ${node.name}`);
          else seen.set(key, node.name);
        }
        expect(twice).toEqual([]);
      }
    });

    test('every node leads to an output, and every weight to a node', async () => {
      for (const graph of await both()) {
        const needed = nodesNeeded(graph);
        expect(namesOf(graph.nodes.filter((node) => !needed.has(node)))).toEqual([]);
        const used = new Set(graph.nodes.flatMap((node) => node.inputs));
        expect(graph.initializers.filter((value) => !used.has(value)).map(({ name }) => name)).toEqual([]);
      }
    });

    test('of weights alone nothing is computed but what their form in the file asks for', async () => {
      for (const graph of await both()) {
        const operators = new Set(frozenNodes(graph).map(({ op }) => op));
        const allowed = [
          'Reshape',
          'Expand',
          ...(form.dtype === 'BF16' || (form.products && form.dtype === 'F32') ? ['Cast'] : []),
          ...(form.forWebGpu ? ['Transpose'] : []),
          // of what is no weight of a product, which is little
          ...(form.forWebGpu && form.base === 'cast' ? ['Cast', 'Gather'] : []),
        ];
        expect([...operators].filter((op) => !allowed.includes(op))).toEqual([]);
        // of ones and of zero points: one for all layers of a width
        const repeated = frozenNodes(graph).filter(({ op }) => op === 'Expand');
        const shapes = repeated.map(({ inputs, outputs }) => JSON.stringify([inputs[0]?.dtype, outputs[0]?.shape]));
        expect(shapes).toEqual([...new Set(shapes)]);
      }
    });

    test.runIf(form.forWebGpu)('WebGPU has all operators, in the number types that it has', async () => {
      for (const graph of await both()) {
        const missing = graph.nodes.filter((node) => !isOfShapes(node) && !isOnWebGpu(node));
        expect(
          missing.map(({ name, op, inputs, outputs }) => [name, op, ...dtypesOf(inputs), ...dtypesOf(outputs)]),
        ).toEqual([]);
      }
    });

    test('shapes are constants, or lengths of inputs and what follows from them', async () => {
      for (const graph of await both()) {
        const arithmetic = graph.nodes.filter(({ op, outputs }) => outputs[0]?.dtype === 'int64' && op !== 'Cast');
        const constant = arithmetic.filter(({ inputs }) => inputs.every((value) => value?.data));
        expect(namesOf(constant)).toEqual([]);
        const ofKnown = arithmetic.filter(({ op, inputs }) => op === 'Shape' && inputs[0]?.kind !== 'input');
        expect(namesOf(ofKnown.filter(() => !form.gatesOnDevice))).toEqual([]);
        const byOne = arithmetic.filter(({ op, inputs }) => op === 'Mul' && inputs.some((value) => isOne(value)));
        expect(namesOf(byOne)).toEqual([]);
      }
    });
  });

  describe.each(forms.filter(([, form]) => form.gradientCheckpointing))('%s', (_form, form) => {
    const training = async () => (await graphsIn(form))[0]!;

    test('is computed again only what a gradient needs', async () => {
      const graph = await training();
      const again = graph.nodes.filter(isAgain);
      const [gradients, loss] = ['grad/', 'loss'].map((name) => ancestorsOf(graph, name));
      expect(again.length).toBeGreaterThan(0);
      expect(namesOf(again.filter((node) => !gradients!.has(node)))).toEqual([]);
      expect(namesOf([...loss!].filter(isBackward))).toEqual([]);
      // the last product of a block, of the base and of the adapter, and the sum behind it
      const last = again.filter((node) =>
        node.inputs.some((v) => /ffn[._]2\.(weight|bias|lora_up\.weight)/.test(v?.name ?? '')),
      );
      expect(namesOf(last.filter((node) => isMultiplication(node) || node.op === 'Add'))).toEqual([]);
    });

    test('is computed again nothing that is kept', async () => {
      const graph = await training();
      const consumers = consumersOf(graph);
      const keys = createKeys();
      const kept = new Set(
        graph.nodes
          .filter((node) => !isBackward(node) && !isView(node))
          .filter((node) => node.outputs.some((value) => readers(value, consumers).some(isBackward)))
          .map(keys),
      );
      const twice = graph.nodes.filter((node) => isAgain(node) && !isView(node) && kept.has(keys(node)));
      expect(namesOf(twice)).toEqual([]);
    });

    test('is kept of a recomputed block only its result', async () => {
      const graph = await training();
      const consumers = consumersOf(graph);
      const recomputed = new Set(graph.nodes.filter(isAgain).map((node) => node.scope.split('/')[1]));
      const own = ownOfBlocks(graph);
      const kept = new Map<string, string[]>();
      for (const node of graph.nodes) {
        const block = node.scope.split('/')[0]!;
        // lengths are a few bytes
        const isKept = !isOfShapes(node) && node.outputs.some((value) => readers(value, consumers).some(isBackward));
        if (isKept && recomputed.has(block) && !own.has(node)) kept.set(block, [...(kept.get(block) ?? []), node.op]);
      }
      // nothing reads the sum behind the last one, nor one whose next block has kept what it made of it
      expect(kept.size).toBe(form.gradientCheckpointingEvery === 2 ? 0 : recomputed.size - 1);
      for (const [block, operators] of kept) expect([block, operators]).toEqual([block, ['Add']]);
    });
  });
});

async function build(open: () => Promise<ModelHeader> | ModelHeader, form: GraphForm): Promise<readonly Graph[]> {
  const { training, evaluation } = graphsOf(await open(), form);
  return [training, evaluation];
}

const namesOf = (nodes: readonly Node[]): string[] => nodes.map(({ name }) => name);
const inputNames = ({ inputs }: Node): (string | null)[] => inputs.map((value) => value && value.name);
const isAgain = ({ scope }: Node): boolean => scope.startsWith('again/');
const isBackward = ({ scope }: Node): boolean => isAgain({ scope } as Node) || scope.startsWith('grad');
const isMultiplication = ({ op }: Node): boolean => ['MatMul', 'FusedMatMul', 'Gemm', 'MatMulNBits'].includes(op);
const isOne = (value: Value | null): boolean => value?.data?.data.length === 1 && Number(value.data.data[0]) === 1;
const isOutput = ({ outputs }: Graph, value: Value): boolean => outputs.some((output) => output.value === value);
const isView = ({ op }: Node): boolean => ['Reshape', 'Squeeze', 'Unsqueeze'].includes(op);

function permOf(node: Node | null | undefined): readonly number[] {
  const perm = node?.attributes['perm'];
  return Array.isArray(perm) ? perm : [];
}

/** What `FusedMatMul` reads in place: the last two axes swapped (`transA`), or the first one moved before the last (`transBatchA`). */
function swapsLastTwo(node: Node): boolean {
  const perm = permOf(node).join();
  const axes = permOf(node).map((_, i) => i);
  const [last = 0, rest] = [axes.length - 1, axes.slice(0, -2)];
  return perm === [...rest, last, last - 1].join() || perm === [...axes.slice(1, -1), 0, last].join();
}

const isIdentity = (first: Node, second: Node): boolean => {
  const perm = permOf(first);
  return permOf(second).every((axis, i) => perm[axis] === i);
};

const isProduct = (node: Node | null | undefined): node is Node =>
  node ? ['MatMul', 'FusedMatMul', 'Gemm'].includes(node.op) : false;

/** A product that can read and write any transpose in place; `Gemm` takes matrices alone. */
const writesTransposed = (node: Node | null | undefined, { forWebGpu }: GraphForm): boolean =>
  isProduct(node) && (!forWebGpu || [...node.inputs, ...node.outputs].every((value) => value?.shape.length === 2));

const dtypesOf = (values: readonly (Value | null)[]): (string | undefined)[] => values.map((value) => value?.dtype);

/** Lengths and what follows from them, which ONNX Runtime computes on the host. */
const isOfShapes = ({ inputs, outputs }: Node): boolean =>
  outputs.every(({ dtype }) => dtype === 'int64') || inputs.every((value) => value?.dtype === 'int64');

/** What moves bytes or makes numbers of them; codes of weights are bytes, and their zero points. */
const readsBytes: ReadonlySet<string> = new Set(['Cast', 'DequantizeLinear', 'Expand']);

/** Shapes, axes and bounds, which come after the first input, are int64 on every provider. */
function isOnWebGpu({ op, inputs, outputs }: Node): boolean {
  const types = ['float32', 'float16', 'int32', ...(readsBytes.has(op) ? ['uint8'] : [])];
  const others = [...types, 'int64'];
  return (
    runsOn('webgpu', op) &&
    inputs.every((value, i) => !value || (i === 0 ? types : others).includes(value.dtype)) &&
    outputs.every(({ dtype }) => types.includes(dtype))
  );
}

/** Nodes that depend on weights and constants alone. */
function frozenNodes(graph: Graph): Node[] {
  const frozen = new Set<Value | null>([null, ...graph.initializers]);
  return graph.nodes.filter((node) => {
    if (!node.inputs.every((value) => frozen.has(value))) return false;
    for (const value of node.outputs) frozen.add(value);
    return true;
  });
}

/** Nodes of a block that nothing of another one enters: of weights and inputs of the graph, which are there anyway. */
function ownOfBlocks(graph: Graph): Set<Node> {
  const outside = new Set<Value | null>([null, ...graph.initializers, ...graph.inputs]);
  const own = new Set<Node>();
  for (const node of graph.nodes) {
    const isOwn = node.inputs.every((value) => outside.has(value) || (value?.producer && own.has(value.producer)));
    if (node.scope.includes('.') && isOwn) own.add(node);
  }
  return own;
}

/** Nodes on a path to the outputs whose names begin so. */
function ancestorsOf(graph: Graph, prefix: string): Set<Node> {
  const found = new Set<Node>();
  const open = graph.outputs.filter(({ name }) => name.startsWith(prefix)).map(({ value }) => value.producer);
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (!node || found.has(node)) continue;
    found.add(node);
    for (const value of node.inputs) if (value) open.push(value.producer);
  }
  return found;
}

/** Nodes that read a value or a view of it. */
const readers = (value: Value, consumers: (value: Value) => readonly Node[]): Node[] =>
  consumers(value).flatMap((node) =>
    isView(node) && !isBackward(node) ? node.outputs.flatMap((output) => readers(output, consumers)) : [node],
  );

/** What a node computes, whatever it waits for: equal for a node and its recomputed copy. */
function createKeys(): (node: Node) => string {
  const known = new Map<Node, string>();
  const short = new Map<string, string>();
  const ofValue = (value: Value | null): string => {
    const node = value?.producer;
    if (!value || !node) return value?.name ?? '';
    return isGate(node) ? ofValue(node.inputs[0]!) : `${ofNode(node)}:${node.outputs.indexOf(value)}`;
  };
  const ofNode = (node: Node): string => {
    const before = known.get(node);
    if (before !== undefined) return before;
    const long = JSON.stringify([node.op, Object.entries(node.attributes).toSorted(), node.inputs.map(ofValue)]);
    const key = short.get(long) ?? `${short.size}`;
    short.set(long, key);
    known.set(node, key);
    return key;
  };
  return ofNode;
}

/** From float32 to 16 bits, for products; nothing at all for gates. */
const isNarrowing = ({ op, inputs: [from], outputs: [to] }: Node): boolean =>
  op === 'Cast' &&
  !isEmpty(from ?? null) &&
  from?.dtype === 'float32' &&
  ['float16', 'bfloat16'].includes(to?.dtype ?? '');

/** Each product narrows a weight for itself, when it is its turn. */
const isOfWeight = ({ inputs: [from] }: Node): boolean => originOf(from!, () => false).kind === 'external';

/** What a value was before it was moved. */
function originOf(value: Value, isStop = isGate): Value {
  const { producer } = value;
  const isMoved = producer && (isView(producer) || producer.op === 'Transpose') && !isStop(producer);
  return isMoved ? originOf(producer.inputs[0]!, isStop) : value;
}

/** A Reshape whose target waits, or nothing appended. */
function isGate({ op, inputs }: Node): boolean {
  if (op === 'Reshape') return inputs[1]?.producer?.inputs.some(isEmpty) === true;
  return op === 'Concat' && inputs.slice(1).every(isEmpty);
}

const isEmpty = (value: Value | null): boolean => value?.shape.includes(0) === true;
