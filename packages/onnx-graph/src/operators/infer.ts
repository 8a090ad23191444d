import type { AttributeValue, Attributes, NodeOptions, TensorType, Value } from '../graph.ts';

import { formatShape } from '../dim.ts';
import { GraphError } from '../errors.ts';
import { operators } from './table.ts';

export type AttributeKind = 'int' | 'ints' | 'float' | 'floats' | 'string';

/** What the builder must know of an operator. */
export interface OperatorSpec {
  /** Operator set: '' is the standard one. */
  readonly domain: '' | 'com.microsoft';
  /** Least and greatest number of inputs, optional ones that are left out included. */
  readonly inputs: readonly [least: number, greatest: number];
  readonly attributes: Readonly<Record<string, AttributeKind>>;
  readonly infer: Infer;
  /** The operator set that brought it, where that is younger than 21. */
  readonly since?: number;
}

/** How output types follow from the arguments. */
export type Infer = (call: OperatorCall) => TensorType[];

/** The arguments of one application, with access that fails by name. */
export interface OperatorCall {
  readonly op: string;
  readonly inputs: readonly (Value | null)[];
  /** Number of outputs asked for, where the caller says it. */
  readonly outputs: number | undefined;
  /** Types given by the caller, where the inputs do not determine them. */
  readonly given: readonly TensorType[] | undefined;
  input(index: number): Value;
  int(name: string, fallback?: number): number;
  ints(name: string): readonly number[] | undefined;
  string(name: string, fallback: string): string;
  /** Numbers of an int64 constant, or undefined when they are computed in the graph. */
  constantInts(index: number): number[] | undefined;
  /** Throws `DTYPE_MISMATCH`. */
  fail(found: string, remedy: string): never;
  /** Throws `BAD_ATTRIBUTE`. */
  failAttribute(found: string, remedy: string): never;
  /** Throws `SHAPE_MISMATCH` with the shapes of all inputs. */
  failShapes(why: string): never;
}

interface Request extends NodeOptions {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Attributes;
}

/** The table's entry, unless `domain` says that another operator of the same name is meant. */
export function specOf(op: string, domain?: string): OperatorSpec | undefined {
  const spec = Object.hasOwn(operators, op) ? operators[op] : undefined;
  const meant = domain === 'ai.onnx' ? '' : domain;
  return meant === undefined || meant === spec?.domain ? spec : undefined;
}

/** Checks a node and gives its domain and output types. An operator outside the table needs `types`. */
export function inferOutputs(request: Request): { domain: string; types: readonly TensorType[] } {
  const spec = specOf(request.op, request.domain);
  if (!spec) {
    if (request.types) return { domain: request.domain ?? '', types: request.types };
    throw new GraphError(
      'UNKNOWN_OPERATOR',
      request.name,
      `operator ${request.domain ? `${request.domain}.` : ''}${request.op} is not in the table.`,
      'Add it to operators/table.ts of @musubi/onnx-graph, or give its output types.',
    );
  }
  checkInputs(request, spec.inputs);
  for (const [attribute, value] of Object.entries(request.attributes)) {
    const kind = Object.hasOwn(spec.attributes, attribute) ? spec.attributes[attribute] : undefined;
    checkAttribute(request, attribute, value, kind, Object.keys(spec.attributes));
  }
  return { domain: spec.domain, types: spec.infer(callOf(request)) };
}

function checkInputs({ op, name, inputs }: Request, [least, greatest]: readonly [number, number]): void {
  if (inputs.length < least || inputs.length > greatest) {
    const takes = least === greatest ? least : greatest === Infinity ? `${least} or more` : `${least} to ${greatest}`;
    throw new GraphError('UNKNOWN_VALUE', name, `${op} takes ${takes} inputs, not ${inputs.length}.`, 'Mend the call.');
  }
  const gap = inputs.indexOf(null);
  if (gap >= 0 && (gap < least || greatest === Infinity)) {
    throw new GraphError('UNKNOWN_VALUE', name, `${op} needs input ${gap}.`, 'Give it.');
  }
}

function checkAttribute(
  { op, name }: Request,
  attribute: string,
  value: AttributeValue,
  kind: AttributeKind | undefined,
  known: readonly string[],
): void {
  if (!kind) {
    const remedy = `It has ${known.join(', ') || 'none'}.`;
    throw new GraphError('BAD_ATTRIBUTE', name, `${op} has no attribute ${attribute}.`, remedy);
  }
  const ok =
    (kind === 'string' && typeof value === 'string') ||
    (kind === 'float' && typeof value === 'number') ||
    (kind === 'int' && Number.isSafeInteger(value)) ||
    (kind === 'ints' && Array.isArray(value) && value.every((x) => Number.isSafeInteger(x))) ||
    (kind === 'floats' && Array.isArray(value));
  if (ok) return;
  throw new GraphError('BAD_ATTRIBUTE', name, `${op} with ${attribute} = ${String(value)}.`, `Its kind is ${kind}.`);
}

function callOf(request: Request): OperatorCall {
  const { op, name, inputs, attributes } = request;
  const fail = (found: string, remedy: string): never => {
    throw new GraphError('DTYPE_MISMATCH', name, `${op} ${found}`, remedy);
  };
  return {
    op,
    inputs,
    outputs: request.outputs ?? request.types?.length,
    given: request.types,
    input(index) {
      const value = inputs[index];
      if (!value) throw new GraphError('UNKNOWN_VALUE', name, `${op} needs input ${index}.`, 'Give it.');
      return value;
    },
    int: (attribute, fallback = 0) => (attributes[attribute] as number | undefined) ?? fallback,
    ints: (attribute) => attributes[attribute] as readonly number[] | undefined,
    string: (attribute, fallback) => (attributes[attribute] as string | undefined) ?? fallback,
    constantInts(index) {
      const value = inputs[index];
      if (value && value.dtype !== 'int64') {
        fail(`by ${value.name}, which is ${value.dtype}.`, 'Axes, lengths and bounds are int64.');
      }
      return value?.data ? Array.from(value.data.data as BigInt64Array, Number) : undefined;
    },
    fail,
    failAttribute(found, remedy) {
      throw new GraphError('BAD_ATTRIBUTE', name, `${op} ${found}`, remedy);
    },
    failShapes(why) {
      const shapes = inputs.map((v) => (v ? `${v.name} ${formatShape(v.shape)}` : 'none')).join(' and ');
      throw new GraphError('SHAPE_MISMATCH', name, `${op} of ${shapes}: ${why}.`, 'Mend the shapes on this line.');
    },
  };
}
