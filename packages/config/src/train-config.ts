import type { DeviceChoice } from './to-device.ts';
import type { GraphOptimization } from './graph-optimization.ts';
import type { qinglongPresets, timestepSamplings, weightingSchemes } from './options/optimization.ts';
import type { wanTasks } from './options/model.ts';
import type { AttentionChoice } from './to-attention.ts';
import type { PlainValue } from './python-value.ts';

export type WanTask = (typeof wanTasks)[number];
export type TimestepSampling = (typeof timestepSamplings)[number];
export type QinglongPreset = (typeof qinglongPresets)[number];
export type WeightingScheme = (typeof weightingSchemes)[number];
/** LoRA, LoHa (Hadamard products) or LoKr (Kronecker products). */
export type NetworkKind = 'lora' | 'loha' | 'lokr';
/** `--mixed_precision` */
export type MixedPrecision = 'no' | 'fp16' | 'bf16';
export type SavePrecision = 'fp32' | 'fp16' | 'bf16';

/** A number of optimizer steps, or a share (0…1) of all steps of the run; see `countSteps`. */
export type StepsOrShare = { readonly steps: number } | { readonly share: number };

/** What a run tells trackers. */
export interface LoggingConfig {
  /** Folder in which each run makes one. */
  readonly folder: string | null;
  /** Never without a folder. */
  readonly tensorBoard: boolean;
  readonly wandb: WandbConfig | null;
  /** Text before the date in the name of the run's folder. */
  readonly prefix: string | null;
  /** Null: `network_train`. */
  readonly trackerName: string | null;
  /** Options to send, null without `--log_config`. */
  readonly options: LoggedOptions | null;
}

export interface WandbConfig {
  /** Null: from the environment. */
  readonly apiKey: string | null;
  readonly name: string | null;
  readonly entity: string | null;
  readonly group: string | null;
  readonly jobType: string | null;
  readonly notes: string | null;
  readonly tags: readonly string[];
}

/** Options by their snake_case names; lists are texts in Python's notation. */
export type LoggedOptions = Readonly<Record<string, null | boolean | number | string>>;

/** Base weights in 8 bits. */
export interface EightBitBase {
  /** `scaled` FP8 with scales, `cast` every weight rounded to FP8, `int8` integers in blocks of 64 with scales. */
  readonly method: 'scaled' | 'cast' | 'int8';
  readonly format: 'e4m3' | 'e5m2';
  /** Of `scaled`. */
  readonly mode: 'tensor' | 'channel' | 'block';
  readonly blockSize: number;
  /** Folder of the file with the 8-bit weights; null: that of the checkpoint. */
  readonly cacheDir: string | null;
}

/** All settings of a training run, checked. Paths are as the user wrote them, relative to the working folder. */
export interface TrainConfig {
  /** TOML file that describes the datasets. */
  readonly datasetConfig: string;

  /** Transformer checkpoint: safetensors or .pth file, one of its shards, or its index file. */
  readonly dit: string;
  readonly task: WanTask;
  /** Second transformer, for high noise, on which the same adapter is trained; then `dit` is the one for low noise. */
  readonly ditHighNoise: string | null;
  /** Where they change over: a share of 1000 timesteps or, above 1, a timestep; null: that of the task. */
  readonly timestepBoundary: number | null;
  /** Load only the transformer that is in use. */
  readonly offloadInactiveDit: boolean;
  /** Sizes that tensor shapes cannot tell, as the user's JSON object; the model checks the names. */
  readonly modelConfig: Readonly<Record<string, unknown>> | null;
  /** How base weights are stored in 8 bits; null: as the checkpoint has them. */
  readonly eightBitBase: EightBitBase | null;
  /** VAE checkpoint; only its name is used, for the metadata. */
  readonly vae: string | null;

  /** As the user wrote it, for the metadata; `networks.lora_wan` or `musubi_tuner.networks.lora_wan`, say. */
  readonly networkModule: string;
  /** What `networkModule` makes. */
  readonly networkKind: NetworkKind;
  /** Rank; 4 when the user gave none. */
  readonly networkDim: number;
  /** 0 means alpha = rank. */
  readonly networkAlpha: number;
  /** All `key=value` arguments as text, for the metadata; null when the user gave none. */
  readonly networkArgs: Readonly<Record<string, string>> | null;
  /** Regular expressions that leave modules out, beside the default ones; null when the user gave none. */
  readonly excludePatterns: readonly string[] | null;
  /** Regular expressions that take modules back in. */
  readonly includePatterns: readonly string[] | null;
  /** Share of rank activations dropped in training; null: no dropout. */
  readonly networkDropout: number | null;
  /** From `networkArgs`: share of ranks dropped, and chance that a module is left out. */
  readonly rankDropout: number | null;
  readonly moduleDropout: number | null;
  /** From `networkArgs`: rate of `lora_up` relative to `lora_down` (LoRA+); null: one rate. */
  readonly loraplusLrRatio: number | null;
  /** From `networkArgs`, of LoKr: size of the smaller factors; -1: near a square. */
  readonly lokrFactor: number;
  /** From `networkArgs`: list the modules of the adapter. */
  readonly networkVerbose: boolean;
  /** Largest norm of an adapter product; null: no limit. */
  readonly scaleWeightNorms: number | null;
  /** Adapter file to start from. */
  readonly networkWeights: string | null;
  /** Take ranks and alphas from `networkWeights`. */
  readonly dimFromWeights: boolean;
  /** Adapter files merged into the base, with one factor each. */
  readonly baseWeights: readonly { readonly path: string; readonly multiplier: number }[];

  /** As the user wrote it, e.g. `AdamW`. */
  readonly optimizerType: string;
  readonly optimizerArgs: Readonly<Record<string, PlainValue>>;
  readonly learningRate: number;
  /** Limit of the norm of all gradients; 0 is no limit. */
  readonly maxGradNorm: number;

  readonly lrScheduler: string;
  readonly lrWarmupSteps: StepsOrShare;
  readonly lrDecaySteps: StepsOrShare;
  readonly lrSchedulerNumCycles: number;
  readonly lrSchedulerPower: number;
  readonly lrSchedulerTimescale: number | null;
  readonly lrSchedulerMinLrRatio: number | null;
  /** Class name of a schedule that is used instead of `lrScheduler`; `''` for none. */
  readonly lrSchedulerType: string;
  readonly lrSchedulerArgs: Readonly<Record<string, PlainValue>>;

  readonly timestepSampling: TimestepSampling;
  /** Mixing shares of the `qinglong_*` samplers. */
  readonly qinglongPreset: QinglongPreset;
  /** Three shares instead of those of the preset. */
  readonly qinglongRatios: readonly [number, number, number] | null;
  readonly discreteFlowShift: number;
  readonly sigmoidScale: number;
  readonly weightingScheme: WeightingScheme;
  readonly logitMean: number;
  readonly logitStd: number;
  readonly modeScale: number;
  /** 0…999, null: 0. */
  readonly minTimestep: number | null;
  /** 1…1000, null: 1000. */
  readonly maxTimestep: number | null;
  readonly preserveDistributionShape: boolean;
  /** Slices of stratified timesteps; null, 0 and 1 draw freely. */
  readonly numTimestepBuckets: number | null;
  /** Show the distribution and do not train. */
  readonly showTimesteps: 'image' | 'console' | null;
  /** Show the learning rates and do not train. */
  readonly showLrSchedule: 'image' | 'console' | null;

  /** Null: the trainer draws one. */
  readonly seed: number | null;
  /** Optimizer steps; `maxTrainEpochs` replaces it. */
  readonly maxTrainSteps: number;
  readonly maxTrainEpochs: number | null;
  readonly gradientAccumulationSteps: number;
  readonly gradientCheckpointing: boolean;
  /** Every how many blocks one is computed again; at least 1. */
  readonly gradientCheckpointingEvery: number;
  readonly attention: AttentionChoice;
  /** What the options about compiling come to. */
  readonly graphOptimization: GraphOptimization;
  readonly device: DeviceChoice;
  /** A step of which the device leaves operators to the CPU ends the run. */
  readonly strictDevice: boolean;
  /** Number type of matrix products, where the device has it; null: `no`. */
  readonly mixedPrecision: MixedPrecision | null;

  readonly outputDir: string;
  /** File name of the result without extension. */
  readonly outputName: string;
  /** Folder for the graphs of the run; null: they are not kept. */
  readonly trainingArtifacts: string | null;
  readonly savePrecision: SavePrecision;
  readonly saveEveryNEpochs: number | null;
  readonly saveEveryNSteps: number | null;
  readonly saveLastNEpochs: number | null;
  readonly saveLastNSteps: number | null;

  readonly logging: LoggingConfig;

  readonly noMetadata: boolean;
  readonly trainingComment: string | null;
  readonly metadataTitle: string | null;
  readonly metadataAuthor: string | null;
  readonly metadataDescription: string | null;
  readonly metadataLicense: string | null;
  readonly metadataTags: string | null;
  /** `width,height` or one number. */
  readonly metadataReso: string | null;
  readonly metadataArch: string | null;

  /**
   * Every option of the command, by its snake_case name, as Python prints it: `2` or `2.0` as the user wrote it, `None`,
   * `True`, `1e-05`. This is what saved metadata hold. Arguments of the form key=value are joined by commas
   * (`weight_decay=0.1,betas=(0.9, 0.95)`), and the empty text stands for none.
   */
  readonly metadataText: Readonly<Record<string, string>>;

  /** All options that have a value, as JSON for saved metadata: no secrets, and no folders. */
  readonly recordedConfig: string;
}

/** A count of steps in a run of `maxTrainSteps`; shares are cut to a whole number. */
export function countSteps(count: StepsOrShare, maxTrainSteps: number): number {
  return 'steps' in count ? count.steps : Math.trunc(count.share * maxTrainSteps);
}
