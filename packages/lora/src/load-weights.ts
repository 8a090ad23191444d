import type { LoraAdapter, LoraModule } from './adapter.ts';
import { LoraError } from './errors.ts';

export interface LoadedWeights {
  readonly adapter: LoraAdapter;
  /** modules that keep their fresh weights because the file lacks them */
  readonly missing: readonly string[];
  /** modules of the file that are not trained now */
  readonly unused: readonly string[];
}

/**
 * Puts the weights of a file into a fresh adapter (`--network_weights`). Order, names and alphas stay those of `fresh`.
 *
 * @throws {LoraError} `RANK_MISMATCH`, `SHAPE_MISMATCH`, `ALPHA_MISMATCH` naming the module and both values,
 *   `NOTHING_MATCHES`
 */
export function loadWeights(fresh: LoraAdapter, saved: LoraAdapter): LoadedWeights {
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
    return { ...module, down: source.down.slice(), up: source.up.slice() };
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

function assertFits(module: LoraModule, saved: LoraModule): void {
  const { name } = module;
  if (module.rank !== saved.rank) {
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
