import type { Graph, Value } from './graph.ts';

import { formatShape } from './dim.ts';
import { GraphError } from './errors.ts';
import { add, cast, gather, matmul, transpose } from './ops.ts';
import { type StoredParameter, type WeightInFile, weightInFile, wideWeight } from './strided-weight.ts';

/** Finds a weight by the name that the model uses. */
export type ParameterSource = (name: string) => StoredParameter | undefined;

/**
 * A place in the tree of a model's parameters, e.g. `blocks.3.self_attn`. Weights become initializers that point into
 * the user's file, named by their path; float16 and bfloat16 are widened to float32 by a Cast behind them.
 */
export interface Params {
  readonly graph: Graph;
  readonly path: string;
  at(path: string | number): Params;
  has(name: string): boolean;
  /** The weight `name` below this place, as float32, checked against `shape`. */
  tensor(name: string, shape: readonly number[]): Value;
  /** The same in the dtype in which the checkpoint has it. */
  stored(name: string, shape: readonly number[]): Value;
}

export function createParams(graph: Graph, source: ParameterSource): Params {
  const inFile = new Map<string, WeightInFile>();
  const widened = new Map<string, Value>();
  const stored = new Map<string, Value>();
  const at = (path: string): Params => {
    const join = (name: string | number) => (path ? `${path}.${name}` : `${name}`);
    return {
      graph,
      path,
      at: (next) => at(join(next)),
      has: (name) => source(join(name)) !== undefined,
      tensor: (name, shape) => {
        const full = join(name);
        const weight = storedAt(full, shape);
        return once(widened, full, () => wideWeight(weight, full));
      },
      stored: (name, shape) => {
        const full = join(name);
        const weight = storedAt(full, shape);
        return once(stored, full, () => weight.view(weight.stored));
      },
    };
  };
  const storedAt = (full: string, shape: readonly number[]): WeightInFile => {
    const found = source(full);
    if (!found) {
      throw new GraphError('MISSING_PARAMETER', full, 'the checkpoint has no such weight.', 'Is it another model?');
    }
    if (formatShape(found.shape) !== formatShape(shape)) {
      throw new GraphError(
        'SHAPE_MISMATCH',
        full,
        `the checkpoint has ${formatShape(found.shape)}, the model needs ${formatShape(shape)}.`,
        'Is it another model, or is the configuration wrong?',
      );
    }
    return once(inFile, full, () => weightInFile(graph, full, found));
  };
  return at('');
}

function once<T>(made: Map<string, T>, name: string, make: () => T): T {
  const known = made.get(name);
  if (known !== undefined) return known;
  const value = make();
  made.set(name, value);
  return value;
}

/**
 * Rows of a table of `count` vectors, `width` wide, as float32. They are picked first and widened then: a table of 16-bit
 * floats is never wide as a whole.
 *
 * @param indices int32 or int64, of any shape
 * @returns the shape of `indices`, then `width`
 */
export const embedding = (indices: Value, p: Params, count: number, width: number): Value =>
  cast(gather(p.stored('weight', [count, width]), indices), 'float32');

/** `x·Wᵀ + b` with `weight` `[out, in]` and, where the checkpoint has it, `bias` `[out]`. */
export function linear(x: Value, p: Params, inFeatures: number, outFeatures: number): Value {
  const weight = p.tensor('weight', [outFeatures, inFeatures]);
  const product = matmul(x, transpose(weight, [1, 0]));
  return p.has('bias') ? add(product, p.tensor('bias', [outFeatures])) : product;
}
