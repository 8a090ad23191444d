import type { LoraAdapter, LoraModule } from './adapter.ts';
import { LoraError } from './errors.ts';
import { loraName } from './naming.ts';
import type { TargetModule } from './targets.ts';

/** PyTorch's CPU generator, e.g. `TorchGenerator` of `@musubi/random`. */
export interface UniformGenerator {
  uniform(count: number, from: number, to: number): Float32Array;
  /** leaves out 32-bit outputs, one a value */
  skip(words: number): void;
}

export interface CreateLoraOptions {
  /** what `selectTargets` chose, in the order of the model */
  readonly modules: readonly Pick<TargetModule, 'path' | 'inFeatures' | 'outFeatures'>[];
  /** integer ≥ 1, default 4 */
  readonly rank?: number;
  /** default 1; 0 stands for the rank, so that the scale is 1 */
  readonly alpha?: number;
  /** take rank and alpha of each module from this adapter and leave out modules that it lacks */
  readonly like?: LoraAdapter | null;
  readonly generator: UniformGenerator;
}

/**
 * A fresh adapter: `down` uniform within ±1/√inFeatures, `up` zero, so that it changes nothing yet.
 *
 * Draws in PyTorch's order, a module after the other: its two layers are first initialised in the ordinary way
 * (`rank·in`, then `out·rank` numbers, thrown away), then `down` once more (`rank·in` numbers, kept).
 *
 * @throws {LoraError} `RANK_INVALID`, `ALPHA_INVALID`, `NOTHING_MATCHES` when `like` shares no module
 */
export function createLora({ modules, rank = 4, alpha = 1, like, generator }: CreateLoraOptions): LoraAdapter {
  assertRankAndAlpha(rank, alpha);
  const known = like ? new Map(like.modules.map((module) => [module.name, module])) : null;
  const created: LoraModule[] = [];
  for (const { path, inFeatures, outFeatures } of modules) {
    const name = loraName(path);
    const size = known ? known.get(name) : { rank, alpha: alpha === 0 ? rank : alpha };
    if (!size) continue;
    created.push({
      name,
      rank: size.rank,
      alpha: size.alpha,
      inFeatures,
      outFeatures,
      down: drawDown(generator, size.rank, inFeatures, outFeatures),
      up: new Float32Array(outFeatures * size.rank),
    });
  }
  if (created.length === 0) {
    throw new LoraError(
      'NOTHING_MATCHES',
      `none of the ${modules.length} modules to train is in the adapter that gives the ranks.`,
      'Give an adapter of the same model, or leave dim_from_weights out.',
      { option: 'dim_from_weights' },
    );
  }
  return { modules: created };
}

function drawDown(generator: UniformGenerator, rank: number, inFeatures: number, outFeatures: number): Float32Array {
  generator.skip(rank * inFeatures + outFeatures * rank);
  const bound = kaimingBound(inFeatures);
  return generator.uniform(rank * inFeatures, -bound, bound);
}

/** 1/√fanIn with the roundings of PyTorch's `kaiming_uniform_(a=√5)`, gain·√3/√fanIn with gain = √(2/(1 + a²)). */
function kaimingBound(fanIn: number): number {
  const gain = Math.sqrt(2 / (1 + Math.sqrt(5) ** 2));
  return Math.sqrt(3) * (gain / Math.sqrt(fanIn));
}

function assertRankAndAlpha(rank: number, alpha: number): void {
  if (!Number.isSafeInteger(rank) || rank < 1) {
    throw new LoraError('RANK_INVALID', `network_dim = ${rank} is not a rank.`, 'Use a whole number from 1, e.g. 16.', {
      option: 'network_dim',
      found: rank,
    });
  }
  if (!Number.isFinite(alpha) || alpha < 0) {
    const remedy = 'Use a number from 0; 0 stands for the rank.';
    throw new LoraError('ALPHA_INVALID', `network_alpha = ${alpha} cannot scale an adapter.`, remedy, {
      option: 'network_alpha',
      found: alpha,
    });
  }
}
