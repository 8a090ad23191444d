/**
 * The low-rank update of one linear layer (Hu et al. 2021, arXiv 2106.09685):
 *
 *     y = W·x + b + (alpha / rank)·up·(down·x)
 */
export interface LoraModule {
  readonly kind?: 'lora';
  /** `lora_unet_` and the module's path with `_` for `.`: the name in files */
  readonly name: string;
  readonly rank: number;
  readonly alpha: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** `[rank, inFeatures]`, row-major */
  readonly down: Float32Array;
  /** `[outFeatures, rank]`, row-major */
  readonly up: Float32Array;
}

/** One matrix that an update is made of. */
export interface Factor {
  /** its key in a file behind the name of the module, e.g. `hada_w1_a` */
  readonly part: string;
  readonly shape: readonly [number, number];
  /** row-major */
  readonly data: Float32Array;
}

/**
 * An update that is a product of another kind.
 *
 * LoHa (Hyeon-Woo et al. 2021, arXiv 2108.06098), factors `hada_w1_a` [out, r], `hada_w1_b` [r, in], `hada_w2_a`, `hada_w2_b`:
 *
 *     ΔW = (alpha / rank)·(w1a·w1b) ∘ (w2a·w2b)
 *
 * LoKr (Yeh et al. 2023, arXiv 2309.14859), factors `lokr_w1` [l, m] and `lokr_w2` [k, n], or `lokr_w2_a` [k, r] and
 * `lokr_w2_b` [r, n], with l·k = out and m·n = in:
 *
 *     ΔW = (alpha / rank)·w1 ⊗ w2,   w2 = w2a·w2b
 */
export interface ProductModule {
  readonly kind: 'loha' | 'lokr';
  readonly name: string;
  readonly rank: number;
  readonly alpha: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly factors: readonly Factor[];
}

export type AdapterModule = LoraModule | ProductModule;
export type AdapterKind = 'lora' | 'loha' | 'lokr';

/** Modules in the order of the model, which is the order of random draws and of parameters. */
export interface LoraAdapter {
  readonly modules: readonly LoraModule[];
}

/** An adapter of any kind. */
export interface Adapter {
  readonly modules: readonly AdapterModule[];
}

export interface LoraParameter {
  /** key in the file, e.g. `lora_unet_blocks_0_ffn_0.lora_down.weight` */
  readonly name: string;
  readonly shape: readonly [number, number];
  /** the adapter's own memory: an optimizer that writes here changes the adapter */
  readonly data: Float32Array;
}

/** The matrices of a module, in the order in which training sees them. */
export function factorsOf(module: AdapterModule): readonly Factor[] {
  if ('factors' in module) return module.factors;
  const { rank, inFeatures, outFeatures, down, up } = module;
  return [
    { part: 'lora_down.weight', shape: [rank, inFeatures], data: down },
    { part: 'lora_up.weight', shape: [outFeatures, rank], data: up },
  ];
}

/** Everything that training changes, in the order of the modules; of a LoRA, `lora_down` then `lora_up` of each. */
export function loraParameters(adapter: Adapter): LoraParameter[] {
  return adapter.modules.flatMap((module) =>
    factorsOf(module).map(({ part, shape, data }) => ({ name: `${module.name}.${part}`, shape, data })),
  );
}
