import type { Dim, Graph, Value } from '../../src/index.ts';
import type { Implementation } from './call.ts';
import type { Tensor64 } from './tensor.ts';

import { evaluateDim, formatShape } from '../../src/index.ts';
import { callOf } from './call.ts';
import { fromHost } from './dtypes.ts';
import { elementwise } from './elementwise.ts';
import { movement } from './movement.ts';
import { products } from './products.ts';
import { reductions } from './reductions.ts';
import { spatial } from './spatial.ts';
import { storage } from './storage.ts';

/** What each operator computes, in doubles. */
export const implementations: Readonly<Record<string, Implementation>> = {
  ...elementwise,
  ...products,
  ...spatial,
  ...reductions,
  ...movement,
  ...storage,
};

export interface InterpretOptions {
  /** Supplies the numbers of weights that lie in files. */
  readonly external?: (value: Value) => Tensor64;
  /** Symbols that no input binds. */
  readonly symbols?: Readonly<Record<string, number>>;
}

export interface Interpretation {
  readonly outputs: Record<string, Tensor64>;
  /** Every value of the graph by its name. */
  readonly values: ReadonlyMap<string, Tensor64>;
  readonly symbols: ReadonlyMap<string, number>;
}

/**
 * Evaluates a graph in doubles, whatever its float dtypes; integers are exact. Throws where a value has another shape
 * than the builder inferred, its symbols taken from the feeds.
 *
 * @returns the outputs by name; {@link interpretAll} gives every value
 */
export const interpret = (
  graph: Graph,
  feeds: Readonly<Record<string, Tensor64>>,
  options?: InterpretOptions,
): Record<string, Tensor64> => interpretAll(graph, feeds, options).outputs;

export function interpretAll(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor64>>,
  options: InterpretOptions = {},
): Interpretation {
  const symbols = bindSymbols(graph, feeds, options.symbols);
  const known = new Map<Value, Tensor64>();
  const keep = (value: Value, x: Tensor64) => {
    checkShape(value, x, symbols);
    known.set(value, x);
  };
  const read = (value: Value) => {
    const x = known.get(value);
    if (!x) throw new RangeError(`${value.name} is used before it is computed`);
    return x;
  };
  for (const value of graph.inputs) keep(value, feeds[value.name] ?? missing(value));
  for (const value of graph.initializers) {
    keep(value, value.data ? fromHost(value.data) : (options.external?.(value) ?? missing(value)));
  }
  for (const node of graph.nodes) {
    const implementation = implementations[node.op];
    if (!implementation) throw new RangeError(`${node.name}: the interpreter has no ${node.op}`);
    const computed = implementation(
      callOf(
        node,
        node.inputs.map((v) => (v ? read(v) : null)),
      ),
    );
    const results: readonly Tensor64[] = 'data' in computed ? [computed] : computed;
    node.outputs.forEach((value, i) => keep(value, results[i] ?? missing(value)));
  }
  return {
    outputs: Object.fromEntries(graph.outputs.map(({ name, value }) => [name, read(value)])),
    values: new Map([...known].map(([value, x]) => [value.name, x])),
    symbols,
  };
}

function missing(value: Value): never {
  throw new RangeError(`no numbers for ${value.kind} ${value.name}`);
}

function bindSymbols(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor64>>,
  given: Readonly<Record<string, number>> = {},
): Map<string, number> {
  const names = new Set(graph.inputs.map((v) => v.name));
  const unknown = Object.keys(feeds).find((name) => !names.has(name));
  if (unknown !== undefined) throw new RangeError(`the graph has no input ${unknown}`);
  const symbols = new Map(Object.entries(given));
  for (const { name, shape } of graph.inputs) {
    shape.forEach((dim: Dim, axis) => {
      const length = feeds[name]?.shape[axis];
      const [, multiple = '1', symbol] = /^(?:(\d+)\*)?([A-Za-z_]\w*)$/.exec(String(dim)) ?? [];
      if (symbol === undefined || length === undefined || symbols.has(symbol)) return;
      symbols.set(symbol, length / Number(multiple));
    });
  }
  return symbols;
}

function checkShape(value: Value, x: Tensor64, symbols: ReadonlyMap<string, number>): void {
  const expected = value.shape.map((dim) => evaluateDim(dim, symbols));
  const size = expected.reduce((a, b) => a * b, 1);
  if (formatShape(expected) !== formatShape(x.shape) || x.data.length !== size) {
    const bound = [...symbols].map(([symbol, length]) => `${symbol}=${length}`).join(', ');
    throw new RangeError(
      `${value.name} is ${formatShape(x.shape)} with ${x.data.length} numbers, the graph says ${formatShape(value.shape)}` +
        (bound ? ` where ${bound}` : ''),
    );
  }
}
