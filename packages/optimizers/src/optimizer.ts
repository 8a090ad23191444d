export interface Parameter {
  readonly name: string;
  /** updated in place */
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Parameters that share a learning rate. */
export interface ParameterGroup {
  readonly name: string;
  readonly learningRate: number;
  readonly parameters: readonly Parameter[];
}

/** Everything an optimizer remembers, beside the parameters themselves. Restoring it continues a run bit for bit. */
export interface OptimizerState {
  readonly className: string;
  /** finite numbers: step counters, sums, modes */
  readonly numbers: Readonly<Record<string, number>>;
  /** float32 tensors by `slot.parameter`, e.g. `exp_avg.lora_unet_blocks_0_self_attn_q.lora_down.weight` */
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  /** 8-bit codes, named likewise; empty but for 8-bit optimizers. A file may hold them as U8 beside the tensors: their names differ. */
  readonly codes: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Uint8Array }>;
}

export interface Optimizer {
  /** full name of the class that it reproduces, e.g. `torch.optim.adamw.AdamW`; saved files carry it */
  readonly className: string;
  /** keeps its own learning-rate schedule; a scheduler would be wrong beside it */
  readonly isScheduleFree: boolean;
  /**
   * One update of all parameters, in place.
   *
   * @param gradients float32, by parameter name, of the parameters' sizes
   * @param learningRates one a group, in the order of the groups
   * @throws {OptimizerError} `BAD_GRADIENT`, `BAD_LEARNING_RATE`, `EVAL_MODE`; nothing has been changed then
   */
  step(gradients: ReadonlyMap<string, Float32Array>, learningRates: readonly number[]): void;
  /** Learning rates chosen by the optimizer itself at its last step, one a group; null where it uses the given ones. */
  ownLearningRates(): readonly number[] | null;
  /** The estimate d of optimizers that find their step size, such as Prodigy; null in others. */
  stepSizeEstimate(): number | null;
  /** Parameters as they are trained. Schedule-free optimizers start here; nothing happens in others. */
  train(): void;
  /** Parameters as they are saved and sampled from: the average of schedule-free optimizers. Nothing happens in others. */
  eval(): void;
  /** A copy of the state; later steps do not change it. */
  state(): OptimizerState;
  /** @throws {OptimizerError} `WRONG_STATE` when it belongs to another optimizer or other parameters */
  restore(state: OptimizerState): void;
}
