import { concat, split as splitOnce, type Value } from '@musubi/onnx-graph';

/** A shader of WebGPU reads and writes 8 buffers wherever there is WebGPU, and one of them is the whole. */
const partsOfAKernel = 7;

/** So many that two rounds of kernels join them. More would save few kernels, and copy all once more. */
const largestCount = partsOfAKernel ** 2;

/** Elements of a joined tensor: of its 16 MiB a step has some ten at a time. */
const largestSize = 2 ** 22;

interface Shaped {
  readonly shape: readonly number[];
}

/** Tensors that can be joined along their first axis, in their order; one without axes stays alone. */
export function joinable<T extends Shaped>(tensors: readonly T[]): T[][] {
  const joins: T[][] = [];
  const open = new Map<string, T[]>();
  for (const tensor of tensors) {
    const key = tensor.shape.slice(1).join();
    const last = open.get(key);
    if (tensor.shape.length > 0 && last && last.length < largestCount && size([...last, tensor]) <= largestSize) {
      last.push(tensor);
      continue;
    }
    const next = [tensor];
    joins.push(next);
    if (tensor.shape.length > 0) open.set(key, next);
  }
  return joins;
}

const size = (tensors: readonly Shaped[]): number =>
  tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);

/** Shape of the tensor of all. */
export function joinedShape(tensors: readonly Shaped[]): readonly number[] {
  const [first, ...more] = tensors.map(({ shape }) => shape);
  if (more.length === 0) return first!;
  return [lengths(tensors).reduce((sum, n) => sum + n, 0), ...first!.slice(1)];
}

/** [n₁, …], [n₂, …], … to [n₁ + n₂ + …, …], by kernels of a few parts. */
export function join(parts: readonly Value[]): Value {
  if (parts.length === 1) return parts[0]!;
  return join(chunks(parts).map((some) => (some.length === 1 ? some[0]! : concat(some, 0))));
}

/** The inverse of {@link join}, for parts of these shapes. */
export const split = (whole: Value, parts: readonly Shaped[]): Value[] => splitAt(whole, lengths(parts));

function splitAt(whole: Value, sizes: readonly number[]): Value[] {
  if (sizes.length === 1) return [whole];
  const some = chunks(sizes);
  const sums = some.map((few) => few.reduce((sum, n) => sum + n, 0));
  return splitAt(whole, sums).flatMap((part, i) => (some[i]!.length === 1 ? [part] : splitOnce(part, some[i]!, 0)));
}

const lengths = (tensors: readonly Shaped[]): number[] => tensors.map(({ shape: [length = 1] }) => length);

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / partsOfAKernel);
  return Array.from({ length: count }, (_, i) => items.slice(i * partsOfAKernel, (i + 1) * partsOfAKernel));
}
