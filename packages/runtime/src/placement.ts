/** Where the nodes of a run were computed, read from a profile of ONNX Runtime. */
export interface Placement {
  /** Nodes by provider, by ONNX Runtime's name, e.g. `CUDAExecutionProvider`. */
  readonly nodes: Readonly<Record<string, number>>;
  /**
   * Operators that computed floating-point numbers from others on the CPU, or had to do with weights in 8 bits, with the
   * number of their nodes.
   */
  readonly onCpu: Readonly<Record<string, number>>;
  /** Nodes on the CPU that computed with shapes (from or to wider integers), as they do on every provider. */
  readonly shapeNodes: number;
  /** Copies between the memories of host and device inside the graph; of inputs and outputs are none of these. */
  readonly copies: number;
}

/** One object a tensor, its key the number type. */
type TypedShapes = readonly Readonly<Record<string, unknown>>[];

/** What is used of an event of a profile. */
interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly args?: {
    readonly op_name?: string;
    readonly provider?: string;
    readonly input_type_shape?: TypedShapes;
    readonly output_type_shape?: TypedShapes;
  };
}

const floats = ['float', 'float16', 'bfloat16', 'double', 'float8e4m3fn', 'float8e5m2'];
/** Integers in which shapes never are, but weights. */
const codes = ['int8', 'uint8'];

/**
 * @param profile text of a file that a session wrote with `profileFilePrefix`; each node counts once, however often it ran
 * @throws {SyntaxError} for a text that is no JSON
 */
export function readPlacement(profile: string): Placement {
  const events = JSON.parse(profile) as readonly ProfileEvent[];
  const ran = new Map<string, NonNullable<ProfileEvent['args']>>();
  for (const { cat, name = '', args } of events) {
    if (cat === 'Node' && args?.provider && name.endsWith('_kernel_time')) ran.set(name, args);
  }
  const [nodes, onCpu]: Record<string, number>[] = [{}, {}];
  let [shapeNodes, copies] = [0, 0];
  for (const {
    op_name: operator = 'unknown',
    provider = '',
    input_type_shape: inputs = [],
    output_type_shape: outputs = [],
  } of ran.values()) {
    if (operator === 'MemcpyToHost' || operator === 'MemcpyFromHost') {
      copies++;
      continue;
    }
    increase(nodes!, provider);
    if (provider !== 'CPUExecutionProvider') continue;
    if (isShapeArithmetic(operator, inputs, outputs)) shapeNodes++;
    else increase(onCpu!, operator);
  }
  return { nodes: nodes!, onCpu: onCpu!, shapeNodes, copies };
}

function isShapeArithmetic(operator: string, inputs: TypedShapes, outputs: TypedShapes): boolean {
  if (operator === 'Shape' || operator === 'Size') return true;
  if (hasAny(codes, inputs) || hasAny(codes, outputs)) return false;
  return !(hasAny(floats, inputs) && hasAny(floats, outputs));
}

function hasAny(dtypes: readonly string[], tensors: TypedShapes): boolean {
  return tensors.some((tensor) => Object.keys(tensor).some((dtype) => dtypes.includes(dtype)));
}

function increase(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** `4 MatMul, 1 Softmax`, the most frequent first. */
export function describeOperators(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .toSorted(([, a], [, b]) => b - a)
    .map(([operator, count]) => `${count} ${operator}`)
    .join(', ');
}
