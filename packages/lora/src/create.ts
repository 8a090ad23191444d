import type { Adapter, AdapterKind, Factor, LoraAdapter, LoraModule, ProductModule } from './adapter.ts';
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
  readonly like?: Adapter | null;
  readonly generator: UniformGenerator;
}

export interface CreateAdapterOptions extends CreateLoraOptions {
  /** default `lora` */
  readonly kind?: AdapterKind;
  /** of LoKr: size of the smaller factors where it divides the layer's; -1 (default) as near to a square as possible */
  readonly factor?: number;
  readonly generator: UniformGenerator & { randn(count: number): Float32Array };
}

/**
 * A fresh adapter: `down` uniform within ±1/√inFeatures, `up` zero, so that it changes nothing yet.
 *
 * Draws in PyTorch's order, a module after the other: its two layers are first initialised in the ordinary way
 * (`rank·in`, then `out·rank` numbers, thrown away), then `down` once more (`rank·in` numbers, kept).
 *
 * @throws {LoraError} `RANK_INVALID`, `ALPHA_INVALID`, `SIZE_INVALID`, `NOTHING_MATCHES` when `like` shares no module
 */
export function createLora({ modules, rank = 4, alpha = 1, like, generator }: CreateLoraOptions): LoraAdapter {
  assertRankAndAlpha(rank, alpha);
  return createModules({ modules, rank, alpha, like }, 'lora', (size) => ({
    ...size,
    down: drawDown(generator, size.rank, size.inFeatures, size.outFeatures),
    up: new Float32Array(size.outFeatures * size.rank),
  }));
}

/**
 * A fresh adapter of any kind that changes nothing yet. LoRA: see `createLora`. In PyTorch's order of draws:
 *
 *     LoHa: w1a ~ N(0, 0.1²), w1b ~ N(0, 1), w2a = 0, w2b ~ N(0, 1)
 *     LoKr: w1 uniform ±1/√columns, w2 = 0; or w2a uniform ±1/√rank, w2b = 0 when 2·rank < max(k, n)
 *
 * @throws {LoraError} as `createLora`, `FACTOR_INVALID`, `KIND_MISMATCH` when `like` is of another kind
 */
export function createAdapter(options: CreateAdapterOptions): Adapter {
  const { kind = 'lora', rank = 4, alpha = 1, factor = -1, generator, like, modules } = options;
  if (kind === 'lora') return createLora(options);
  assertRankAndAlpha(rank, alpha);
  assertFactor(factor);
  return createModules({ modules, rank, alpha, like }, kind, (size): ProductModule => {
    if (kind === 'loha') {
      const { rank: r, inFeatures, outFeatures } = size;
      const w1a = generator.randn(outFeatures * r).map((z) => z * Math.fround(0.1));
      const w1b = generator.randn(r * inFeatures);
      return {
        kind,
        ...size,
        factors: [
          matrix('hada_w1_a', outFeatures, r, w1a),
          matrix('hada_w1_b', r, inFeatures, w1b),
          matrix('hada_w2_a', outFeatures, r),
          matrix('hada_w2_b', r, inFeatures, generator.randn(r * inFeatures)),
        ],
      };
    }
    const [m, n] = factorize(size.inFeatures, factor);
    const [l, k] = factorize(size.outFeatures, factor);
    const w1 = matrix('lokr_w1', l, m, kaimingUniform(generator, l * m, m));
    const r = size.rank;
    if (2 * r >= Math.max(k, n)) return { kind, ...size, alpha: r, factors: [w1, matrix('lokr_w2', k, n)] };
    return {
      kind,
      ...size,
      factors: [w1, matrix('lokr_w2_a', k, r, kaimingUniform(generator, k * r, r)), matrix('lokr_w2_b', r, n)],
    };
  });
}

function matrix(
  part: string,
  rows: number,
  columns: number,
  data = new Float32Array(rows * columns) as Float32Array,
): Factor {
  return { part, shape: [rows, columns], data };
}

/**
 * Two factors of a size, the smaller first: `factor` and its counterpart where it divides the size, else divisors that
 * approach each other as long as their sum does not grow and the smaller is at most `factor` (-1: no limit).
 *
 * @throws {LoraError} `SIZE_INVALID`, `FACTOR_INVALID`
 */
export function factorize(size: number, factor = -1): [number, number] {
  assertSize('size', size);
  assertFactor(factor);
  if (factor > 0 && size % factor === 0) return sorted(factor, size / factor);
  const most = factor < 0 ? size : factor;
  let [small, large] = [1, size];
  while (small < large) {
    let next = small + 1;
    while (size % next !== 0) next++;
    if (next + size / next > small + large || next > most) break;
    [small, large] = [next, size / next];
  }
  return sorted(small, large);
}

const sorted = (a: number, b: number): [number, number] => (a < b ? [a, b] : [b, a]);

type Size = Pick<LoraModule, 'name' | 'rank' | 'alpha' | 'inFeatures' | 'outFeatures'>;

function createModules<M extends LoraModule | ProductModule>(
  {
    modules,
    rank,
    alpha,
    like,
  }: Required<Pick<CreateLoraOptions, 'modules' | 'rank' | 'alpha'>> & { readonly like?: Adapter | null | undefined },
  kind: AdapterKind,
  create: (size: Size) => M,
): { readonly modules: readonly M[] } {
  const known = like ? new Map(like.modules.map((module) => [module.name, module])) : null;
  const created: M[] = [];
  for (const { path, inFeatures, outFeatures } of modules) {
    const name = loraName(path);
    assertSize(`${name} inFeatures`, inFeatures);
    assertSize(`${name} outFeatures`, outFeatures);
    const model = known?.get(name);
    if (known && !model) continue;
    if (model) assertKind(model, kind);
    const size = model ?? { rank, alpha: alpha === 0 ? rank : alpha };
    created.push(create({ name, rank: size.rank, alpha: size.alpha, inFeatures, outFeatures }));
  }
  if (created.length > 0) return { modules: created };
  throw new LoraError(
    'NOTHING_MATCHES',
    `none of the ${modules.length} modules to train is in the adapter that gives the ranks.`,
    'Give an adapter of the same model, or leave dim_from_weights out.',
    { option: 'dim_from_weights' },
  );
}

/** @throws {LoraError} `KIND_MISMATCH` */
export function assertKind({ name, kind: found = 'lora' }: LoraModule | ProductModule, expected: AdapterKind): void {
  if (found === expected) return;
  throw new LoraError(
    'KIND_MISMATCH',
    `network_weights: ${name} is a ${KIND_NAMES[found]}, but network_module makes a ${KIND_NAMES[expected]}.`,
    `Choose the network_module of a ${KIND_NAMES[found]}, or another file.`,
    { module: name, option: 'network_module', found, expected },
  );
}

const KIND_NAMES = { lora: 'LoRA', loha: 'LoHa', lokr: 'LoKr' } as const;

function drawDown(generator: UniformGenerator, rank: number, inFeatures: number, outFeatures: number): Float32Array {
  generator.skip(rank * inFeatures + outFeatures * rank);
  return kaimingUniform(generator, rank * inFeatures, inFeatures);
}

function kaimingUniform(generator: UniformGenerator, count: number, fanIn: number): Float32Array {
  const bound = kaimingBound(fanIn);
  return generator.uniform(count, -bound, bound);
}

/** 1/√fanIn with the roundings of PyTorch's `kaiming_uniform_(a=√5)`, gain·√3/√fanIn with gain = √(2/(1 + a²)). */
function kaimingBound(fanIn: number): number {
  const gain = Math.sqrt(2 / (1 + Math.sqrt(5) ** 2));
  return Math.sqrt(3) * (gain / Math.sqrt(fanIn));
}

function assertSize(what: string, size: number): void {
  if (Number.isSafeInteger(size) && size >= 1) return;
  throw new LoraError('SIZE_INVALID', `${what} = ${size} is not the size of a layer.`, 'Use a whole number from 1.', {
    found: size,
  });
}

function assertFactor(factor: number): void {
  if (Number.isSafeInteger(factor) && (factor >= 1 || factor === -1)) return;
  const remedy = 'Use a whole number from 1, or -1 for factors of like sizes.';
  throw new LoraError('FACTOR_INVALID', `factor = ${factor} splits no layer.`, remedy, {
    option: 'factor',
    found: factor,
  });
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
