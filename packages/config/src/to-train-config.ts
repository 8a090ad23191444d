import { ConfigError, type ConfigProblem } from './errors.ts';
import { toGraphOptimization } from './graph-optimization.ts';
import { didYouMean, nearestName } from './internal/nearest.ts';
import { parseKeyValue } from './key-value.ts';
import { optionValues } from './option-values.ts';
import { toDevice } from './to-device.ts';
import { toAttention } from './to-attention.ts';
import { toEightBitBase } from './to-eight-bit-base.ts';
import { toLoggingConfig } from './to-logging-config.ts';
import { LiteralSyntaxError, parsePythonLiteral } from './python-literal.ts';
import { pythonText, toPlain, type PlainValue, type PythonValue } from './python-value.ts';
import type { OptionsRead, ReadText } from './read-options.ts';
import { recordedConfig } from './recorded-config.ts';
import type {
  MixedPrecision,
  NetworkKind,
  QinglongPreset,
  SavePrecision,
  StepsOrShare,
  TimestepSampling,
  TrainConfig,
  WanTask,
  WeightingScheme,
} from './train-config.ts';

/**
 * Turns the options that were read into a {@link TrainConfig}: the one place where snake_case becomes camelCase.
 *
 * @returns the configuration, and everything that is wrong with it; it is only usable when `problems` is empty
 */
export async function toTrainConfig(
  { options }: OptionsRead,
  readText: ReadText,
): Promise<{ config: TrainConfig; problems: readonly ConfigProblem[] }> {
  const values = optionValues(options);
  const { option, text, textOrNull, number, numberOrNull, flag, items, problem, problems } = values;
  const networkArgs = keyValues('network_args', 'plain');
  const optimizerArgs = keyValues('optimizer_args', 'literal');
  const schedulerArgs = keyValues('lr_scheduler_args', 'literal');
  const network = readNetworkArgs(networkArgs, kindOf(text('network_module')));

  const config: TrainConfig = {
    datasetConfig: text('dataset_config'),

    dit: text('dit'),
    task: text('task') as WanTask,
    ditHighNoise: textOrNull('dit_high_noise'),
    timestepBoundary: numberOrNull('timestep_boundary'),
    offloadInactiveDit: flag('offload_inactive_dit'),
    modelConfig: await readModelConfig(),
    eightBitBase: toEightBitBase(values),
    vae: textOrNull('vae'),

    networkModule: text('network_module'),
    networkKind: kindOf(text('network_module')) ?? 'lora',
    networkDim: numberOrNull('network_dim') ?? 4,
    networkAlpha: number('network_alpha'),
    networkArgs: networkArgs && Object.fromEntries(networkArgs.map(([key, value]) => [key, pythonText(value)])),
    ...network,
    networkDropout: numberOrNull('network_dropout'),
    scaleWeightNorms: numberOrNull('scale_weight_norms'),
    networkWeights: textOrNull('network_weights'),
    dimFromWeights: flag('dim_from_weights'),
    baseWeights: readBaseWeights(),

    optimizerType: text('optimizer_type'),
    optimizerArgs: plainRecord(optimizerArgs),
    learningRate: number('learning_rate'),
    maxGradNorm: number('max_grad_norm'),

    lrScheduler: text('lr_scheduler'),
    lrWarmupSteps: stepsOrShare('lr_warmup_steps'),
    lrDecaySteps: stepsOrShare('lr_decay_steps'),
    lrSchedulerNumCycles: number('lr_scheduler_num_cycles'),
    lrSchedulerPower: number('lr_scheduler_power'),
    lrSchedulerTimescale: numberOrNull('lr_scheduler_timescale'),
    lrSchedulerMinLrRatio: numberOrNull('lr_scheduler_min_lr_ratio'),
    lrSchedulerType: text('lr_scheduler_type'),
    lrSchedulerArgs: plainRecord(schedulerArgs),

    timestepSampling: text('timestep_sampling') as TimestepSampling,
    qinglongPreset: text('qinglong_preset') as QinglongPreset,
    qinglongRatios: readRatios(),
    discreteFlowShift: number('discrete_flow_shift'),
    sigmoidScale: number('sigmoid_scale'),
    weightingScheme: text('weighting_scheme') as WeightingScheme,
    logitMean: number('logit_mean'),
    logitStd: number('logit_std'),
    modeScale: number('mode_scale'),
    minTimestep: numberOrNull('min_timestep'),
    maxTimestep: numberOrNull('max_timestep'),
    preserveDistributionShape: flag('preserve_distribution_shape'),
    numTimestepBuckets: numberOrNull('num_timestep_buckets'),
    showTimesteps: textOrNull('show_timesteps') as TrainConfig['showTimesteps'],
    showLrSchedule: textOrNull('show_lr_schedule') as TrainConfig['showLrSchedule'],

    seed: numberOrNull('seed'),
    maxTrainSteps: number('max_train_steps'),
    maxTrainEpochs: numberOrNull('max_train_epochs'),
    gradientAccumulationSteps: number('gradient_accumulation_steps'),
    gradientCheckpointing: flag('gradient_checkpointing'),
    gradientCheckpointingEvery: number('gradient_checkpointing_every'),
    attention: toAttention(values),
    graphOptimization: toGraphOptimization(values),
    device: toDevice(values),
    strictDevice: flag('strict_device'),
    mixedPrecision: textOrNull('mixed_precision') as MixedPrecision | null,

    outputDir: text('output_dir'),
    outputName: text('output_name'),
    trainingArtifacts: textOrNull('training_artifacts'),
    savePrecision: (textOrNull('save_precision') ?? 'fp32').replace('float', 'fp32') as SavePrecision,
    saveEveryNEpochs: numberOrNull('save_every_n_epochs'),
    saveEveryNSteps: numberOrNull('save_every_n_steps'),
    saveLastNEpochs: numberOrNull('save_last_n_epochs'),
    saveLastNSteps: numberOrNull('save_last_n_steps'),

    logging: await toLoggingConfig(values, options, readText),

    noMetadata: flag('no_metadata'),
    trainingComment: textOrNull('training_comment'),
    metadataTitle: textOrNull('metadata_title'),
    metadataAuthor: textOrNull('metadata_author'),
    metadataDescription: textOrNull('metadata_description'),
    metadataLicense: textOrNull('metadata_license'),
    metadataTags: textOrNull('metadata_tags'),
    metadataReso: textOrNull('metadata_reso'),
    metadataArch: textOrNull('metadata_arch'),

    recordedConfig: recordedConfig(options),
    metadataText: {
      ...Object.fromEntries(
        [...options].flatMap(([name, { value, spec }]) => (spec.isSecret ? [] : [[name, pythonText(value)]])),
      ),
      network_args: joinKeyValues(networkArgs),
      optimizer_args: joinKeyValues(optimizerArgs),
      lr_scheduler_args: joinKeyValues(schedulerArgs),
    },
  };
  checkRequired();
  checkCombinations(config);
  return { config, problems };

  /** The pairs of a `key=value` option, null when the user gave none. */
  function keyValues(name: string, kind: 'literal' | 'plain'): [string, PythonValue][] | null {
    if (option(name).value.type === 'null') return null;
    const pairs = new Map<string, PythonValue>();
    for (const item of items(name)) {
      const read = parseKeyValue(pythonText(item), kind);
      if ('reason' in read) problem(read.code, name, `"${read.argument}" ${read.reason}.`, read.remedy);
      else if (pairs.has(read.key))
        problem('BAD_KEY_VALUE', name, `"${read.key}" is given twice.`, 'Remove one of them.');
      else pairs.set(read.key, read.value);
    }
    return [...pairs];
  }

  function readNetworkArgs(pairs: [string, PythonValue][] | null, kind: NetworkKind | null) {
    const found = {
      excludePatterns: null as string[] | null,
      includePatterns: null as string[] | null,
      rankDropout: null as number | null,
      moduleDropout: null as number | null,
      loraplusLrRatio: null as number | null,
      lokrFactor: -1,
      networkVerbose: false,
    };
    const names = kind === 'lokr' ? networkArgNames : networkArgNames.filter((name) => name !== 'factor');
    for (const [key, value] of pairs ?? []) {
      const written = pythonText(value);
      if (key === 'exclude_patterns') found.excludePatterns = readPatternList(key, written);
      else if (key === 'include_patterns') found.includePatterns = readPatternList(key, written);
      else if (key === 'rank_dropout') found.rankDropout = readNumber(key, written, isShare, 'a share below 1');
      else if (key === 'module_dropout') found.moduleDropout = readNumber(key, written, isShare, 'a share below 1');
      else if (key === 'loraplus_lr_ratio') {
        found.loraplusLrRatio = readNumber(key, written, (ratio) => ratio >= 0, 'a number from 0');
      } else if (key === 'factor' && kind === 'lokr') {
        found.lokrFactor = readNumber(key, written, isFactor, 'a whole number from 1, or -1') ?? -1;
      } else if (key === 'verbose') found.networkVerbose = written === 'True';
      // For convolutions, of which the blocks that get an adapter have none.
      else if (key === 'conv_dim') readNumber(key, written, (dim) => Number.isInteger(dim) && dim > 0, 'a rank');
      else if (key === 'conv_alpha') readNumber(key, written, (alpha) => alpha >= 0, 'a number from 0');
      else {
        const nearest = nearestName(key, names);
        problem(
          'UNKNOWN_OPTION',
          'network_args',
          `"${key}" is not an argument of this adapter.`,
          `${didYouMean(nearest)}Known: ${names.join(', ')}.`,
          nearest,
        );
      }
    }
    return found;
  }

  function readNumber(key: string, written: string, fits: (value: number) => boolean, expected: string): number | null {
    const value = written.trim() === '' ? Number.NaN : Number(written);
    if (Number.isFinite(value) && fits(value)) return value;
    problem('BAD_VALUE', 'network_args', `${key} is ${written}, expected ${expected}.`, `Correct or remove ${key}.`);
    return null;
  }

  function readPatternList(key: string, literal: string): string[] {
    try {
      const value = parsePythonLiteral(literal);
      if ((value.type === 'list' || value.type === 'tuple') && value.value.every(({ type }) => type === 'string')) {
        return value.value.map(pythonText);
      }
      problem(
        'BAD_LITERAL',
        'network_args',
        `${key} is ${literal}, not a list of texts.`,
        `Write ${key}=[r'.*ffn.*'].`,
      );
    } catch (cause) {
      if (!(cause instanceof LiteralSyntaxError)) throw cause;
      problem(
        'BAD_LITERAL',
        'network_args',
        `${key} is not a Python list: ${cause.message}.`,
        `Write ${key}=[r'.*ffn.*'].`,
      );
    }
    return [];
  }

  function readBaseWeights(): TrainConfig['baseWeights'] {
    const paths = items('base_weights').map(pythonText);
    const multipliers = items('base_weights_multiplier').map(({ value }) => Number(value));
    if (multipliers.length > paths.length) {
      problem(
        'BAD_COMBINATION',
        'base_weights_multiplier',
        `there are ${multipliers.length} factors for ${paths.length} files in base_weights.`,
        'Give one factor for each file, or fewer: a missing one is 1.',
      );
    }
    return paths.map((path, index) => ({ path, multiplier: multipliers[index] ?? 1 }));
  }

  function readRatios(): TrainConfig['qinglongRatios'] {
    const [shifted, middle, low, ...more] = items('qinglong_ratios').map(({ value }) => Number(value));
    if (shifted === undefined) return null;
    const isTriple = middle !== undefined && low !== undefined && more.length === 0;
    if (isTriple && Math.min(shifted, middle, low) >= 0 && shifted + middle + low > 0) return [shifted, middle, low];
    problem('BAD_VALUE', 'qinglong_ratios', 'expected three shares of at least 0.', 'Write e.g. 80 7.5 12.5.');
    return null;
  }

  /** 0, whole numbers and shares below 1; `100%` is the whole run. */
  function stepsOrShare(name: string): StepsOrShare {
    const value = number(name);
    if (value < 0 || (value > 1 && !Number.isInteger(value))) {
      problem(
        'BAD_VALUE',
        name,
        'expected a whole number of steps, or a share between 0 and 1.',
        `Write e.g. ${name} = 100 or ${name} = 0.1.`,
      );
    }
    return option(name).value.type === 'int' || value === 0 ? { steps: value } : { share: value };
  }

  async function readModelConfig(): Promise<TrainConfig['modelConfig']> {
    const written = textOrNull('model_config');
    if (written === null) return null;
    const isInline = written.trimStart().startsWith('{');
    const remedy = 'Give a JSON object such as {"num_heads": 12}, or the path of a file that holds one.';
    try {
      const value: unknown = JSON.parse((isInline ? written : await readText(written)).replace(/^\uFEFF/, ''));
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
      problem('BAD_VALUE', 'model_config', 'its JSON is not an object.', remedy);
    } catch (cause) {
      if (cause instanceof ConfigError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      problem(
        'BAD_VALUE',
        'model_config',
        `${isInline || cause instanceof SyntaxError ? 'not valid JSON' : 'the file cannot be read'}: ${reason}.`,
        remedy,
      );
    }
    return null;
  }

  function checkRequired(): void {
    for (const [name, remedy] of required) {
      if (text(name) === '') problem('MISSING_OPTION', name, 'is missing.', remedy);
    }
  }

  function checkCombinations(made: TrainConfig): void {
    const { networkModule, outputName, metadataReso } = made;
    if (networkModule !== '' && kindOf(networkModule) === null) {
      const nearest = nearestName(networkModule, Object.keys(networkModules));
      problem(
        'BAD_CHOICE',
        'network_module',
        'is no kind of adapter for this model.',
        `${didYouMean(nearest)}Known: ${Object.keys(networkModules).join(', ')}.`,
        nearest,
      );
    }
    if (made.networkDropout === 1) {
      problem('BAD_VALUE', 'network_dropout', 'expected a share below 1.', 'Write e.g. network_dropout = 0.1.');
    }
    if (/[\\/]/.test(outputName) || outputName === '.' || outputName === '..') {
      problem('BAD_VALUE', 'output_name', 'expected a file name without folders.', 'Put the folder in output_dir.');
    }
    if (metadataReso !== null && !/^\s*\d+\s*(?:,\s*\d+\s*)?$/.test(metadataReso)) {
      problem(
        'BAD_VALUE',
        'metadata_reso',
        'expected "width,height" or one number.',
        'Write e.g. metadata_reso = "1280,720".',
      );
    }
  }
}

const required: readonly (readonly [name: string, remedy: string])[] = [
  ['dataset_config', 'Write dataset_config = "dataset.toml".'],
  ['dit', 'Write dit = "wan2.1_t2v_1.3B_bf16.safetensors", the file of the transformer.'],
  ['network_module', 'Write network_module = "networks.lora_wan".'],
  ['optimizer_type', 'Write optimizer_type = "AdamW".'],
  ['output_dir', 'Write output_dir = "output".'],
  ['output_name', 'Write output_name = "my_lora".'],
];

/** What the original calls its kinds of adapters. */
const networkModules: Readonly<Record<string, NetworkKind>> = {
  'networks.lora_wan': 'lora',
  'networks.loha': 'loha',
  'networks.lokr': 'lokr',
};

function kindOf(networkModule: string): NetworkKind | null {
  const name = networkModule.replace(/^musubi_tuner\./, '');
  return Object.hasOwn(networkModules, name) ? (networkModules[name] ?? null) : null;
}

const isShare = (value: number): boolean => value >= 0 && value < 1;
const isFactor = (value: number): boolean => Number.isInteger(value) && (value === -1 || value > 0);

const networkArgNames = [
  'exclude_patterns',
  'include_patterns',
  'loraplus_lr_ratio',
  'rank_dropout',
  'module_dropout',
  'factor',
  'verbose',
  'conv_dim',
  'conv_alpha',
];

function plainRecord(pairs: [string, PythonValue][] | null): Record<string, PlainValue> {
  return Object.fromEntries((pairs ?? []).map(([key, value]) => [key, toPlain(value)]));
}

function joinKeyValues(pairs: [string, PythonValue][] | null): string {
  return (pairs ?? []).map(([key, value]) => `${key}=${pythonText(value)}`).join(',');
}
