/** All settings of `lora_post_hoc_ema`, checked. Paths are as the user wrote them, relative to the working folder. */
export interface AverageLorasConfig {
  readonly paths: readonly string[];
  readonly noSort: boolean;
  readonly beta: number;
  readonly beta2: number | null;
  readonly sigmaRel: number | null;
  readonly outputFile: string;
}

/** All settings of `merge_lora`, checked. */
export interface MergeLorasConfig {
  readonly dit: string;
  readonly loras: readonly { readonly path: string; readonly multiplier: number }[];
  readonly saveMergedModel: string;
}

/** All settings of `convert_lora`, checked. */
export interface ConvertLoraConfig {
  readonly input: string;
  readonly output: string;
  readonly target: 'other' | 'default';
  readonly diffusersPrefix: string | null;
}
