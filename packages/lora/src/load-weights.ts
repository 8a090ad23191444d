import { factorsOf } from './adapter.ts';
import type { Adapter, AdapterModule } from './adapter.ts';
import { assertKind } from './create.ts';
import { LoraError } from './errors.ts';

export interface LoadedWeights<M extends AdapterModule = AdapterModule> {
  readonly adapter: { readonly modules: readonly M[] };
  /** modules that keep their fresh weights because the file lacks them */
  readonly missing: readonly string[];
  /** modules of the file that are not trained now */
  readonly unused: readonly string[];
}

/**
 * Puts the weights of a file into a fresh adapter (`--network_weights`). Order, names and alphas stay those of `fresh`.
 *
 * @throws {LoraError} `RANK_MISMATCH`, `SHAPE_MISMATCH`, `ALPHA_MISMATCH` naming the module and both values,
 *   `KIND_MISMATCH`, `NOTHING_MATCHES`
 */
export function loadWeights<M extends AdapterModule>(
  fresh: { readonly modules: readonly M[] },
  saved: Adapter,
): LoadedWeights<M> {
  const byName = new Map(saved.modules.map((module) => [module.name, module]));
  const names = new Set(fresh.modules.map(({ name }) => name));
  const missing: string[] = [];
  const modules = fresh.modules.map((module) => {
    const source = byName.get(module.name);
    if (!source) {
      missing.push(module.name);
      return module;
    }
    assertFits(module, source);
    return withWeightsOf(module, source);
  });
  if (missing.length === modules.length) {
    throw new LoraError(
      'NOTHING_MATCHES',
      `network_weights has none of the ${modules.length} modules to train, e.g. not ${missing[0]}.`,
      `Give an adapter of the same model; this one has modules like ${saved.modules[0]?.name}.`,
      { option: 'network_weights' },
    );
  }
  return {
    adapter: { modules },
    missing,
    unused: saved.modules.flatMap(({ name }) => (names.has(name) ? [] : [name])),
  };
}

function withWeightsOf<M extends AdapterModule>(module: M, source: AdapterModule): M {
  if (!('factors' in module) && !('factors' in source)) {
    return { ...module, down: source.down.slice(), up: source.up.slice() };
  }
  return { ...module, factors: factorsOf(source).map((factor) => ({ ...factor, data: factor.data.slice() })) };
}

function assertFits(module: AdapterModule, saved: AdapterModule): void {
  assertKind(saved, module.kind ?? 'lora');
  const { name } = module;
  // A full second matrix of a LoKr has no rank.
  const isFull = [module, saved].some((each) => factorsOf(each).some(({ part }) => part === 'lokr_w2'));
  if (module.rank !== saved.rank && !isFull) {
    throw new LoraError(
      'RANK_MISMATCH',
      `network_weights: ${name} has rank ${saved.rank}, network_dim is ${module.rank}.`,
      `Set network_dim = ${saved.rank}, or dim_from_weights to take the ranks from the file.`,
      { module: name, option: 'network_dim', found: saved.rank, expected: module.rank },
    );
  }
  if (module.inFeatures !== saved.inFeatures || module.outFeatures !== saved.outFeatures) {
    const found = `${saved.inFeatures} → ${saved.outFeatures}`;
    const expected = `${module.inFeatures} → ${module.outFeatures}`;
    throw new LoraError(
      'SHAPE_MISMATCH',
      `network_weights: ${name} adapts a layer ${found}, the model has ${expected}.`,
      'Give an adapter of the same model.',
      { module: name, option: 'network_weights', found, expected },
    );
  }
  const [parts, expectedParts] = [saved, module].map(describeFactors);
  if (parts !== expectedParts) {
    throw new LoraError(
      'SHAPE_MISMATCH',
      `network_weights: ${name} has ${parts}, expected ${expectedParts}.`,
      'Set network_dim and factor as they were when the file was trained.',
      { module: name, option: 'network_args', found: parts ?? '', expected: expectedParts ?? '' },
    );
  }
  if (isFull) return;
  // A file in bf16 has its alpha rounded to 8 bits.
  if (Math.abs(module.alpha - saved.alpha) > Math.abs(module.alpha) * 2 ** -8) {
    throw new LoraError(
      'ALPHA_MISMATCH',
      `network_weights: ${name} has alpha ${saved.alpha}, network_alpha is ${module.alpha}: its effect would change.`,
      `Set network_alpha = ${saved.alpha}, or dim_from_weights to take the alphas from the file.`,
      { module: name, option: 'network_alpha', found: saved.alpha, expected: module.alpha },
    );
  }
}

function describeFactors(module: AdapterModule): string {
  return factorsOf(module)
    .map(({ part, shape }) => `${part.replace('.weight', '')} [${shape.join(', ')}]`)
    .join(', ');
}
