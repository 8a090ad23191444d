import type { AttributeValue, Attributes, NodeOptions, TensorType, Value } from '../graph.ts';

import { formatShape } from '../dim.ts';
import { GraphError } from '../errors.ts';
import { operators } from './table.ts';

export type AttributeKind = 'int' | 'ints' | 'float' | 'floats' | 'string';

/** What the builder must know of an operator. */
export interface OperatorSpec {
  /** Operator set: '' is the standard one. */
  readonly domain: '' | 'com.microsoft';
  readonly attributes: Readonly<Record<string, AttributeKind>>;
  readonly infer: (call: OperatorCall) => TensorType[];
}

/** The arguments of one application, with access that fails by name. */
export interface OperatorCall {
  readonly op: string;
  readonly inputs: readonly (Value | null)[];
  /** Number of outputs asked for. */
  readonly outputs: number;
  /** Types given by the caller, where the inputs do not determine them. */
  readonly given: readonly TensorType[] | undefined;
  input(index: number): Value;
  int(name: string, fallback?: number): number;
  ints(name: string): readonly number[] | undefined;
  /** Numbers of a constant input, or undefined when it is computed in the graph. */
  constantInts(index: number): number[] | undefined;
  fail(found: string, remedy: string): never;
  /** Throws `SHAPE_MISMATCH` with the shapes of all inputs. */
  failShapes(why: string): never;
}

interface Request extends NodeOptions {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Attributes;
}

/** Checks a node and gives its domain and output types. An operator outside the table needs `domain` and `types`. */
export function inferOutputs(request: Request): { domain: string; types: readonly TensorType[] } {
  const spec = operators[request.op];
  if (!spec) {
    if (request.types) return { domain: request.domain ?? '', types: request.types };
    throw new GraphError(
      'UNKNOWN_OPERATOR',
      request.name,
      `operator ${request.op} is not in the table.`,
      'Add it to operators/table.ts of @musubi/onnx-graph, or give its output types.',
    );
  }
  for (const [attribute, value] of Object.entries(request.attributes)) {
    checkAttribute(request, attribute, value, spec.attributes[attribute]);
  }
  return { domain: spec.domain, types: spec.infer(callOf(request)) };
}

function checkAttribute(request: Request, attribute: string, value: AttributeValue, kind: AttributeKind | undefined) {
  const ok =
    (kind === 'string' && typeof value === 'string') ||
    (kind === 'float' && typeof value === 'number') ||
    (kind === 'int' && Number.isInteger(value)) ||
    ((kind === 'ints' || kind === 'floats') && Array.isArray(value));
  if (ok) return;
  const found = kind ? `attribute ${attribute} = ${String(value)} is not of kind ${kind}.` : `has no ${attribute}.`;
  throw new GraphError('BAD_ATTRIBUTE', request.name, `${request.op} ${found}`, 'See operators/table.ts.');
}

function callOf(request: Request): OperatorCall {
  const { op, name, inputs, attributes } = request;
  const fail = (found: string, remedy: string): never => {
    throw new GraphError('DTYPE_MISMATCH', name, `${op} ${found}`, remedy);
  };
  return {
    op,
    inputs,
    outputs: request.outputs ?? request.types?.length ?? 1,
    given: request.types,
    input(index) {
      const value = inputs[index];
      if (!value) throw new GraphError('UNKNOWN_VALUE', name, `${op} needs input ${index}.`, 'Give it.');
      return value;
    },
    int: (attribute, fallback = 0) => (attributes[attribute] as number | undefined) ?? fallback,
    ints: (attribute) => attributes[attribute] as readonly number[] | undefined,
    constantInts(index) {
      const data = inputs[index]?.data;
      return data ? Array.from(data.data as BigInt64Array, Number) : undefined;
    },
    fail,
    failShapes(why) {
      const shapes = inputs.map((v) => (v ? `${v.name} ${formatShape(v.shape)}` : 'none')).join(' and ');
      throw new GraphError('SHAPE_MISMATCH', name, `${op} of ${shapes}: ${why}.`, 'Mend the shapes on this line.');
    },
  };
}
