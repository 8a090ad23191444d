import type { Dim, Shape } from '../dim.ts';
import type { Graph, Value } from '../graph.ts';

import { evaluateDim, symbolsIn } from '../dim.ts';
import { bytesPerElement } from '../dtype.ts';

/** Lengths of the symbols of a graph, e.g. `B` 1 and `S` 2048. */
export type Symbols = ReadonlyMap<string, number>;

/** Shapes and sizes of the values of a graph once its symbols have lengths. */
export interface Sizes {
  shape(value: { readonly shape: Shape }): number[];
  elements(value: { readonly shape: Shape }): number;
  bytes(value: Pick<Value, 'shape' | 'dtype'>): number;
}

/** @throws {GraphError} (the functions) `BAD_DIMENSION` for a symbol without a length */
export function createSizes(symbols: Symbols): Sizes {
  const known = new Map<Dim, number>();
  const length = (dim: Dim): number => {
    if (typeof dim === 'number') return dim;
    const before = known.get(dim);
    if (before !== undefined) return before;
    const value = evaluateDim(dim, symbols);
    known.set(dim, value);
    return value;
  };
  const shape = (value: { readonly shape: Shape }) => value.shape.map(length);
  const elements = (value: { readonly shape: Shape }) => value.shape.reduce<number>((n, d) => n * length(d), 1);
  return { shape, elements, bytes: (value) => elements(value) * bytesPerElement(value.dtype) };
}

/** The symbols that the shapes of a graph's inputs and values hold, in the order in which they come. */
export function symbolsOf(graph: Graph): string[] {
  const found = new Set<string>();
  const dims = new Set([...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs)].flatMap(({ shape }) => shape));
  for (const dim of dims) for (const symbol of symbolsIn(dim)) found.add(symbol);
  return [...found];
}
