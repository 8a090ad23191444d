import { LoraError } from './errors.ts';
import { pythonFloat, pythonJson, pythonText } from './python-notation.ts';

/** The options that a file records, each under `ss_` and its own name. */
export const RECORDED_OPTIONS = [
  'output_name',
  'learning_rate',
  'gradient_checkpointing',
  'gradient_checkpointing_cpu_offload',
  'gradient_accumulation_steps',
  'max_train_steps',
  'lr_warmup_steps',
  'lr_scheduler',
  'network_module',
  'network_dim',
  'network_alpha',
  'network_dropout',
  'mixed_precision',
  'seed',
  'training_comment',
  'max_grad_norm',
  'fp8_base',
  'full_fp16',
  'full_bf16',
  'weighting_scheme',
  'logit_mean',
  'logit_std',
  'mode_scale',
  'guidance_scale',
  'timestep_sampling',
  'sigmoid_scale',
  'discrete_flow_shift',
] as const;

/** What remains with `--no_metadata`: by these keys readers recognise the file. */
const MINIMUM_KEYS = [
  'ss_base_model_version',
  'ss_network_module',
  'ss_network_dim',
  'ss_network_alpha',
  'ss_network_args',
];

/** What a training run knows of itself; becomes the `ss_` metadata of its files. */
export interface TrainingFacts {
  /**
   * All of `RECORDED_OPTIONS`, as the run uses them. Text is taken as Python prints the value (`2.0`, `1e-05`, `None`);
   * booleans, null and whole numbers are put into that notation. Other entries are ignored.
   */
  readonly options: Readonly<Record<string, string | number | boolean | null>>;
  /** random integer of the run */
  readonly sessionId: number;
  /** Unix seconds */
  readonly startedAt: number;
  /** items after repeats */
  readonly numTrainItems: number;
  readonly numBatchesPerEpoch: number;
  readonly numEpochs: number;
  /** long name of the architecture, e.g. `wan` */
  readonly baseModelVersion: string;
  /** class name of the optimizer, e.g. `torch.optim.adamw.AdamW` */
  readonly optimizer: string;
  /** its arguments in Python notation, e.g. `weight_decay=0.1,betas=(0.9, 0.95)`; empty for none */
  readonly optimizerArgs: string;
  /** `ss_datasets`: JSON text, a list of the datasets */
  readonly datasets: string;
  /** as text; null when none were given */
  readonly networkArgs: Readonly<Record<string, string>> | null;
  /** file name of the transformer, the text as given if there is no such file; null: not recorded */
  readonly sdModelName: string | null;
  readonly vaeName: string | null;
}

/** Where the run stands when a file is saved. */
export interface SaveFacts {
  /** Unix seconds */
  readonly finishedAt: number;
  readonly steps: number;
  /** step files: completed epochs; epoch files: the epoch just finished; last file: the planned number */
  readonly epoch: number;
}

/**
 * The `ss_` metadata of a file.
 *
 * @param options.noMetadata `--no_metadata`: only what readers need to recognise the file
 * @throws {LoraError} `METADATA_INCOMPLETE` when an option to be recorded is not given
 */
export function trainingMetadata(
  run: TrainingFacts,
  save: SaveFacts,
  { noMetadata = false }: { readonly noMetadata?: boolean } = {},
): Record<string, string> {
  const metadata: Record<string, string> = {
    ss_session_id: pythonText(run.sessionId),
    ss_training_started_at: pythonFloat(run.startedAt),
    ss_training_finished_at: pythonFloat(save.finishedAt),
    ss_num_train_items: pythonText(run.numTrainItems),
    ss_num_batches_per_epoch: pythonText(run.numBatchesPerEpoch),
    ss_num_epochs: pythonText(run.numEpochs),
    ss_base_model_version: run.baseModelVersion,
    ss_optimizer: run.optimizerArgs === '' ? run.optimizer : `${run.optimizer}(${run.optimizerArgs})`,
    ss_datasets: run.datasets,
    ss_steps: pythonText(save.steps),
    ss_epoch: pythonText(save.epoch),
  };
  for (const option of RECORDED_OPTIONS) metadata[`ss_${option}`] = recorded(run.options, option);
  if (run.networkArgs) metadata['ss_network_args'] = pythonJson(run.networkArgs);
  if (run.sdModelName !== null) metadata['ss_sd_model_name'] = run.sdModelName;
  if (run.vaeName !== null) metadata['ss_vae_name'] = run.vaeName;
  if (!noMetadata) return metadata;
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => MINIMUM_KEYS.includes(key)));
}

function recorded(options: TrainingFacts['options'], option: string): string {
  const value = options[option];
  if (value !== undefined) return pythonText(value);
  throw new LoraError(
    'METADATA_INCOMPLETE',
    `the value of ${option} is not known, but files record it.`,
    'Give all options of the run; null stands for one that is not set.',
    { option },
  );
}
