/**
 * The low-rank update of one linear layer (Hu et al. 2021, arXiv 2106.09685):
 *
 *     y = W·x + b + (alpha / rank)·up·(down·x)
 */
export interface LoraModule {
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

/** Modules in the order of the model, which is the order of random draws and of parameters. */
export interface LoraAdapter {
  readonly modules: readonly LoraModule[];
}

export interface LoraParameter {
  /** key in the file, e.g. `lora_unet_blocks_0_ffn_0.lora_down.weight` */
  readonly name: string;
  readonly shape: readonly [number, number];
  /** the adapter's own memory: an optimizer that writes here changes the adapter */
  readonly data: Float32Array;
}

/** Everything that training changes: `lora_down` then `lora_up` of each module, in the order of the modules. */
export function loraParameters(adapter: LoraAdapter): LoraParameter[] {
  return adapter.modules.flatMap(({ name, rank, inFeatures, outFeatures, down, up }) => [
    { name: `${name}.lora_down.weight`, shape: [rank, inFeatures] as const, data: down },
    { name: `${name}.lora_up.weight`, shape: [outFeatures, rank] as const, data: up },
  ]);
}
