import { dimMul, elementCount, matmul, mul, reshape, transpose } from '@musubi/onnx-graph';
import type { Dim, Shape, Value } from '@musubi/onnx-graph';
import type { AdapterKind, Factor } from '../adapter.ts';
import type { DropoutOptions } from '../dropout.ts';

/** What a graph needs to know of a module; weights are not looked at. */
export interface ModuleSizes {
  readonly kind?: AdapterKind;
  readonly name: string;
  readonly rank: number;
  readonly alpha: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** of LoHa and LoKr */
  readonly factors?: readonly Pick<Factor, 'part' | 'shape'>[];
}

interface Parts {
  readonly multiplier: number;
  /** the matrix of a part, float32 */
  readonly weight: (part: string, shape: readonly [number, number]) => Value;
  /** the value times its dropout mask, if there is one */
  readonly mask: (y: Value, shape: (dropout: DropoutOptions) => Shape) => Value;
}

/** Name of the input that holds the mask of a module. */
export function dropoutName({ name }: Pick<ModuleSizes, 'name'>): string {
  return `${name}.dropout`;
}

/** `x·ΔWᵀ` of a module, `[…, outFeatures]`. */
export function updateOf(module: ModuleSizes, x: Value, parts: Parts): Value {
  const scale = (parts.multiplier * module.alpha) / module.rank;
  switch (module.kind) {
    case 'loha':
      return parts.mask(hadamardProduct(module, x, scale, parts), () => [module.outFeatures]);
    case 'lokr':
      return parts.mask(kroneckerProduct(module, x, scale, parts), () => [module.outFeatures]);
    default:
      return lowRankProduct(module, x, scale, parts);
  }
}

/** `(scale · x·downᵀ)·upᵀ`; scale and mask go to the narrow side, `[…, rank]`. */
function lowRankProduct({ rank, inFeatures, outFeatures }: ModuleSizes, x: Value, scale: number, parts: Parts): Value {
  const down = parts.weight('lora_down.weight', [rank, inFeatures]);
  const up = parts.weight('lora_up.weight', [outFeatures, rank]);
  const narrow = parts.mask(times(matmul(x, transpose(down, [1, 0])), scale), ({ network }) =>
    // Ranks are dropped for each item, single activations everywhere.
    [...x.shape.slice(0, -1).map((dim, axis): Dim => (axis === 0 || (network ?? 0) > 0 ? dim : 1)), rank],
  );
  return matmul(narrow, transpose(up, [1, 0]));
}

/** `x·((scale·w1a·w1b) ∘ (w2a·w2b))ᵀ` */
function hadamardProduct(module: ModuleSizes, x: Value, scale: number, parts: Parts): Value {
  const [w1a, w1b, w2a, w2b] = matrices(module, parts);
  const update = mul(times(matmul(w1a!, w1b!), scale), matmul(w2a!, w2b!));
  return matmul(x, transpose(update, [1, 0]));
}

/**
 * `x·(scale·w1 ⊗ w2)ᵀ` without the large matrix: a row of x is a matrix `X` `[m, n]`, and of the result `w1·X·w2ᵀ` `[l, k]`.
 */
function kroneckerProduct(module: ModuleSizes, x: Value, scale: number, parts: Parts): Value {
  const [w1, w2, w2b] = matrices(module, parts);
  const [l, m] = w1!.shape as [number, number];
  const k = w2!.shape[0] as number;
  const n = module.inFeatures / m;
  const rows = elementCount(x.shape.slice(0, -1));
  const X = reshape(x, [dimMul(rows, m), n]);
  const narrow = w2b ? matmul(X, transpose(w2b, [1, 0])) : X;
  const right = times(matmul(narrow, transpose(w2!, [1, 0])), scale); // [rows·m, k]
  const turned = transpose(reshape(right, [rows, m, k]), [0, 2, 1]); // [rows, k, m]
  const left = matmul(turned, transpose(w1!, [1, 0])); // [rows, k, l]
  return reshape(transpose(left, [0, 2, 1]), [...x.shape.slice(0, -1), l * k]);
}

function matrices({ factors = [] }: ModuleSizes, { weight }: Parts): Value[] {
  return factors.map(({ part, shape }) => weight(part, shape));
}

function times(x: Value, scale: number): Value {
  return scale === 1 ? x : mul(x, scale);
}
