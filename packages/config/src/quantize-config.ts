/** All settings of `quantize`, checked. */
export interface QuantizeConfig {
  /** Checkpoint that is read: a file, an index, or any shard. */
  readonly input: string;
  /** File that is written. */
  readonly output: string;
  /** Which weights: the list of a model, or parts of keys. An empty list of targets stands for all weights. */
  readonly targets: string | { readonly include: readonly string[] | null; readonly exclude: readonly string[] };
  readonly format: string;
  readonly mode: string;
  readonly blockSize: number;
  /** Threads; null: by the number of processors. */
  readonly numWorkers: number | null;
}
