import type { AdapterKind } from './adapter.ts';
import { LoraError } from './errors.ts';

/** What is dropped while an adapter is trained; null or left out: nothing. */
export interface DropoutOptions {
  /** share of single activations behind `down` (`--network_dropout`); of no effect for LoHa and LoKr */
  readonly network?: number | null;
  /** share of ranks of each item; of LoHa and LoKr, of the outputs (`rank_dropout` of `--network_args`) */
  readonly rank?: number | null;
  /** chance that a whole module is left out (`module_dropout` of `--network_args`) */
  readonly module?: number | null;
}

/** A mask that a graph takes as input, see `injectLora`. */
export interface DropoutMask {
  readonly kind: AdapterKind;
  /** `[B, …, T, rank]`, axes without a mask being 1; of LoHa and LoKr `[outFeatures]` */
  readonly shape: readonly number[];
}

/** Any source of uniform numbers in [0, 1). */
export interface UniformSource {
  rand(count: number): Float32Array;
}

/** @throws {LoraError} `DROPOUT_SHARE` unless all shares are in [0, 1) */
export function assertDropout({ network, rank, module }: DropoutOptions): void {
  const shares = { network_dropout: network, rank_dropout: rank, module_dropout: module };
  for (const [option, share] of Object.entries(shares)) {
    if (share == null || (share >= 0 && share < 1)) continue;
    throw new LoraError(
      'DROPOUT_SHARE',
      `${option} = ${share} is not a share that can be dropped.`,
      'Use a number from 0 and below 1, e.g. 0.1.',
      { option, found: share },
    );
  }
}

/** Whether a graph needs masks at all. */
export function hasDropout({ network, rank, module }: DropoutOptions, kind: AdapterKind = 'lora'): boolean {
  return rank != null || module != null || (kind === 'lora' && network != null && network > 0);
}

/**
 * The factors of one module in one step: 0 where something is dropped, else what keeps the mean.
 *
 *     mask = [u₀ ≥ module]·[u ≥ network]/(1 − network)·[u′ > rank]/(1 − rank)
 *
 * Drawn in the original's order: one number for the module, and when it stays, one an activation, then one an item and
 * rank. Ranks and modules are those of `torch.rand` on a CPU; single activations are not, since what PyTorch draws for them
 * depends on how it was built.
 *
 * @throws {LoraError} `DROPOUT_SHARE`, `SHAPE_MISMATCH` for a shape that is none
 */
export function drawDropout(
  { kind, shape }: DropoutMask,
  options: DropoutOptions,
  source: UniformSource,
): Float32Array {
  assertDropout(options);
  const { network, rank, module } = options;
  assertShape(shape);
  const count = shape.reduce((a, b) => a * b, 1);
  if (module != null && source.rand(1)[0]! < Math.fround(module)) return new Float32Array(count);
  const mask = new Float32Array(count).fill(1);
  if (kind === 'lora' && network != null && network > 0) {
    const u = source.rand(count);
    for (let i = 0; i < count; i++) mask[i] = u[i]! < network ? 0 : 1 / (1 - network);
  }
  if (rank == null) return mask;
  const ranks = shape.at(-1) ?? 1;
  const items = kind === 'lora' ? (shape[0] ?? 1) : 1;
  const u = source.rand(items * ranks);
  const limit = Math.fround(rank);
  for (let i = 0; i < count; i++) {
    const item = Math.floor((i * items) / count);
    mask[i] = u[item * ranks + (i % ranks)]! > limit ? mask[i]! / (1 - rank) : 0;
  }
  return mask;
}

function assertShape(shape: readonly number[]): void {
  if (shape.every((size) => Number.isSafeInteger(size) && size >= 0)) return;
  const found = `[${shape.join(', ')}]`;
  throw new LoraError('SHAPE_MISMATCH', `${found} is no shape of a mask.`, 'Give sizes as whole numbers.', { found });
}
