import type { Dim, Shape } from './dim.ts';
import type { DataType, HostTensor } from './dtype.ts';

import { elementCount, formatShape, toDim } from './dim.ts';
import { arrayTypeOf, bytesPerElement } from './dtype.ts';
import { GraphError } from './errors.ts';
import { inferOutputs } from './operators/infer.ts';

export type AttributeValue = number | string | readonly number[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Where the bytes of a weight lie: a file (relative to the folder of external data) and a byte range in it. */
export interface ExternalData {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export type ValueKind = 'input' | 'constant' | 'external' | 'node';

/** One tensor of a graph. Its dtype and shape are known as soon as it exists. */
export interface Value {
  readonly graph: Graph;
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: Shape;
  readonly kind: ValueKind;
  /** The node that computes it, for `kind: 'node'`. */
  readonly producer: Node | null;
  /** For `kind: 'constant'`. */
  readonly data: HostTensor | null;
  /** For `kind: 'external'`. */
  readonly external: ExternalData | null;
}

/** One application of an operator. `inputs` has null where an optional input is left out. */
export interface Node {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
  /** The scope it was built in, e.g. `blocks.3/self_attn`. */
  readonly scope: string;
}

export interface TensorType {
  readonly dtype: DataType;
  readonly shape: Shape;
}

/** Begins the names of constants that were not given one. */
export const constantStem = 'const/';

/** Larger tensors belong into a file: protobuf would hold them in memory several times. */
export const inlineLimitBytes = 1024;

/**
 * An ONNX graph under construction. Nodes are kept in the order in which they are made, which is topological, and are
 * checked when made: a wrong shape or dtype throws on the line that wrote it.
 */
export class Graph {
  readonly name: string;
  readonly inputs: Value[] = [];
  readonly initializers: Value[] = [];
  readonly nodes: Node[] = [];
  readonly outputs: { name: string; value: Value }[] = [];
  /** Free text written into the model file (`metadata_props`). */
  readonly metadata: Record<string, string> = {};
  #names = new Set<string>();
  #reserved = new Set<string>();
  #counters = new Map<string, number>();
  #constants = new Map<string, Value>();
  #scope = '';

  constructor(name: string) {
    this.name = name;
  }

  /** The scope that new nodes get, e.g. `blocks.3/self_attn`. */
  get scope(): string {
    return this.#scope;
  }

  /** Runs `build` with `path` appended to the scope. */
  within<T>(path: string, build: () => T): T {
    return this.withScope(this.#scope ? `${this.#scope}/${path}` : path, build);
  }

  /** Runs `build` in exactly the scope `scope`. */
  withScope<T>(scope: string, build: () => T): T {
    const before = this.#scope;
    this.#scope = scope;
    try {
      return build();
    } finally {
      this.#scope = before;
    }
  }

  input(name: string, dtype: DataType, shape: Shape): Value {
    const value = this.#value({ name, dtype, shape, kind: 'input' });
    this.inputs.push(value);
    return value;
  }

  /** A small tensor stored in the graph itself; equal ones are shared. At most {@link inlineLimitBytes} bytes. */
  constant(data: HostTensor, name?: string): Value {
    const bytes = data.data.byteLength;
    if (bytes > inlineLimitBytes) {
      throw new GraphError(
        'INLINE_TOO_LARGE',
        name ?? constantStem + data.dtype,
        `${bytes} bytes inline, at most ${inlineLimitBytes}.`,
        'Refer to a file with graph.external, feed it as an input, or compute it.',
      );
    }
    const key = `${data.dtype}|${data.shape.join(',')}|${Array.from(data.data as Float32Array, keyOf).join(',')}`;
    const known = name === undefined ? this.#constants.get(key) : undefined;
    if (known) return known;
    const label = name ?? this.#fresh(constantStem + data.dtype);
    checkElements(label, data);
    const value = this.#value({
      name: label,
      dtype: data.dtype,
      shape: data.shape,
      kind: 'constant',
      data: { ...data, data: data.data.slice() },
    });
    this.initializers.push(value);
    if (name === undefined) this.#constants.set(key, value);
    return value;
  }

  /** A weight whose bytes stay in a file. */
  external(name: string, dtype: DataType, shape: readonly number[], external: ExternalData): Value {
    const expected = Number(elementCount(shape)) * bytesPerElement(dtype);
    if (expected !== external.length) {
      throw new GraphError(
        'SHAPE_MISMATCH',
        name,
        `${dtype} ${formatShape(shape)} takes ${expected} bytes, the file's range has ${external.length}.`,
        'Check the offset and length given for it.',
      );
    }
    if (!Number.isSafeInteger(external.offset) || external.offset < 0) {
      throw new GraphError('SHAPE_MISMATCH', name, `offset ${external.offset}.`, 'Offsets are bytes from 0.');
    }
    const value = this.#value({ name, dtype, shape, kind: 'external', external });
    this.initializers.push(value);
    return value;
  }

  /** Adds a node; its output types are inferred. Prefer the functions of `ops.ts`. */
  node(op: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, options: NodeOptions = {}): Value[] {
    const name = options.name ?? this.#fresh(this.#scope ? `${this.#scope}/${op}` : op);
    for (const input of inputs) {
      if (input && input.graph !== this) {
        throw new GraphError('UNKNOWN_VALUE', name, `input ${input.name} is of another graph.`, 'Use one graph.');
      }
    }
    const given = options.types?.map(({ dtype, shape }) => ({ dtype, shape: shape.map((d) => toDim(d, name)) }));
    const request = { op, name, inputs, attributes, ...options, ...(given ? { types: given } : {}) };
    const { domain, types } = inferOutputs(request);
    const outputs: Value[] = [];
    const node: Node = { name, op, domain, inputs: [...inputs], outputs, attributes, scope: this.#scope };
    types.forEach((type, i) => {
      const label = options.outputNames?.[i] || (i === 0 ? name : `${name}:${i}`);
      outputs.push(this.#value({ ...type, name: label, kind: 'node', producer: node }));
    });
    this.nodes.push(node);
    return outputs;
  }

  /** Makes `value` an output. A computed value may be an output under its own name; other names must be free. */
  output(name: string, value: Value): void {
    if (this.outputs.some((o) => o.name === name)) {
      throw new GraphError('DUPLICATE_NAME', name, 'there is an output of this name.', 'Choose another name.');
    }
    if (value.graph !== this) {
      throw new GraphError('UNKNOWN_VALUE', name, `${value.name} is of another graph.`, 'Use one graph.');
    }
    if (value.kind !== 'node' || value.name !== name) this.#take(name);
    this.outputs.push({ name, value });
  }

  /** Keeps names from being chosen for unnamed nodes, for nodes that will be added under these names later. */
  reserve(names: Iterable<string>): void {
    for (const name of names) this.#reserved.add(name);
  }

  /** Drops, in place, all nodes, constants and weights but these. Inputs stay, and names stay taken. */
  retain(nodes: ReadonlySet<Node>, values: ReadonlySet<Value>): void {
    keep(this.nodes, (node) => nodes.has(node));
    keep(this.initializers, (value) => values.has(value));
    for (const [key, value] of this.#constants) if (!values.has(value)) this.#constants.delete(key);
  }

  /** The value of that name, whatever its kind. */
  find(name: string): Value | undefined {
    return (
      this.inputs.find((v) => v.name === name) ??
      this.initializers.find((v) => v.name === name) ??
      this.nodes.flatMap((n) => n.outputs).find((v) => v.name === name)
    );
  }

  #value(fields: Partial<Value> & { name: string; dtype: DataType; shape: Shape; kind: ValueKind }): Value {
    const shape = fields.shape.map((d) => toDim(d, fields.name));
    this.#take(fields.name);
    return { graph: this, producer: null, data: null, external: null, ...fields, shape };
  }

  #take(name: string): void {
    if (name === '') throw new GraphError('DUPLICATE_NAME', '', 'a name is empty.', 'Give it one.');
    if (this.#names.has(name)) {
      throw new GraphError('DUPLICATE_NAME', name, 'this name is taken.', 'Choose another name.');
    }
    this.#names.add(name);
  }

  #fresh(stem: string): string {
    for (;;) {
      const n = (this.#counters.get(stem) ?? 0) + 1;
      this.#counters.set(stem, n);
      const name = `${stem}_${n}`;
      if (!this.#names.has(name) && !this.#reserved.has(name)) return name;
    }
  }
}

export interface NodeOptions {
  /** Node name; by default scope, operator and a number. */
  readonly name?: string;
  readonly outputNames?: readonly string[];
  readonly domain?: string;
  /** Output types where they cannot be inferred from the inputs (e.g. Reshape to a computed shape). */
  readonly types?: readonly TensorType[];
  /** How many outputs to make, for operators with optional or variadic outputs. */
  readonly outputs?: number;
}

function keep<T>(list: T[], wanted: (item: T) => boolean): void {
  list.splice(0, list.length, ...list.filter(wanted));
}

function checkElements(at: string, { dtype, shape, data }: HostTensor): void {
  const array = arrayTypeOf(dtype).name;
  if (data[Symbol.toStringTag] !== array) {
    throw new GraphError('DTYPE_MISMATCH', at, `${data[Symbol.toStringTag]} for ${dtype}.`, `Use a ${array}.`);
  }
  if (data.length !== elementCount(shape)) {
    throw new GraphError('SHAPE_MISMATCH', at, `${data.length} elements for ${formatShape(shape)}.`, 'Give one each.');
  }
}

const keyOf = (x: number | bigint): string => (Object.is(x, -0) ? '-0' : String(x));

export type { Dim, Shape };
