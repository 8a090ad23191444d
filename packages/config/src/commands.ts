import type { ArchitectureName } from './architectures.ts';
import { optionTable } from './option-table.ts';
import type { OptionSpec, OptionSupport } from './option-spec.ts';
import { refused, works } from './option-spec.ts';

/** A command, under its own name and under that of the original's script. */
export interface CommandSpec {
  /** As it is listed in the help text. */
  readonly name: string;
  /** Name of the original's script, whose options it has. */
  readonly script: string;
  /** What it does, and so what its configuration is. */
  readonly task:
    | 'train'
    | 'train model'
    | 'cache latents'
    | 'cache text'
    | 'generate'
    | 'average loras'
    | 'merge loras'
    | 'convert lora'
    | 'extract lora'
    | 'quantize'
    | 'estimate'
    | 'inspect';
  /** Model that it is for, null where that does not matter. */
  readonly architecture: ArchitectureName | null;
  /** One sentence. */
  readonly help: string;
  readonly support: OptionSupport;
  /** Options of all training scripts that this one does not know, or has in a form of its own. */
  readonly lacks?: readonly string[];
  /** Known by name alone: it is refused before its options are read. */
  readonly isNameOnly?: true;
}

const laterModel = refused('this model is not in this release');
const laterCaches = refused('caches of this model are not in this release');
const laterGeneration = refused('making pictures and videos is not in this release');

/** Models beside Wan, with the names that messages give them. */
const otherModels = [
  ['hv', 'HunyuanVideo', 'hv_generate_video'],
  ['fpack', 'FramePack', 'fpack_generate_video'],
  ['flux_kontext', 'FLUX.1 Kontext', 'flux_kontext_generate_image'],
  ['qwen_image', 'Qwen-Image', 'qwen_image_generate_image'],
] as const;

/** Options that the original's training scripts have, but the oldest of them has not, or otherwise. */
const newerTrainOptions = [
  'base_weights',
  'base_weights_multiplier',
  'block_swap_h2d_only',
  'block_swap_ring_size',
  'compile',
  'compile_backend',
  'compile_cache_size_limit',
  'compile_dynamic',
  'compile_fullgraph',
  'compile_mode',
  'cuda_allow_tf32',
  'cuda_cudnn_benchmark',
  'dim_from_weights',
  'disable_numpy_memmap',
  'dynamo_backend',
  'dynamo_dynamic',
  'dynamo_fullgraph',
  'dynamo_mode',
  'flash3',
  'fp8_base',
  'gradient_checkpointing_cpu_offload',
  'metadata_arch',
  'metadata_reso',
  'network_alpha',
  'network_args',
  'network_dim',
  'network_dropout',
  'network_module',
  'network_weights',
  'no_metadata',
  'num_timestep_buckets',
  'preserve_distribution_shape',
  'save_precision',
  'scale_weight_norms',
  'show_timesteps',
  'training_comment',
  'use_pinned_memory_for_block_swap',
  'mixed_precision',
  'timestep_sampling',
];

export const commandTable: readonly CommandSpec[] = [
  {
    name: 'cache_latents',
    script: 'wan_cache_latents',
    task: 'cache latents',
    architecture: 'wan',
    help: 'Encode pictures for training, with --architecture wan.',
    support: works,
  },
  {
    name: 'cache_text_encoder_outputs',
    script: 'wan_cache_text_encoder_outputs',
    task: 'cache text',
    architecture: 'wan',
    help: 'Encode captions for training, with --architecture wan.',
    support: works,
  },
  {
    name: 'train',
    script: 'wan_train_network',
    task: 'train',
    architecture: 'wan',
    help: 'Train a LoRA for Wan 2.1 or 2.2 text-to-video.',
    support: works,
  },
  {
    name: 'lora_post_hoc_ema',
    script: 'lora_post_hoc_ema',
    task: 'average loras',
    architecture: null,
    help: 'Average adapters that one run has saved.',
    support: works,
  },
  {
    name: 'merge_lora',
    script: 'merge_lora',
    task: 'merge loras',
    architecture: null,
    help: 'Merge adapters into a checkpoint.',
    support: works,
  },
  {
    name: 'convert_lora',
    script: 'convert_lora',
    task: 'convert lora',
    architecture: null,
    help: 'Convert an adapter to the layout of ComfyUI and Diffusers, or back.',
    support: works,
  },
  {
    name: 'quantize',
    script: 'quantize',
    task: 'quantize',
    architecture: null,
    help: 'Write a checkpoint whose weights are 8-bit floats, and print the error of each.',
    support: works,
  },
  {
    name: 'estimate',
    script: 'estimate',
    task: 'estimate',
    architecture: 'wan',
    help: 'Tell the memory and time that a training run needs, and settings that fit. Takes the options of train.',
    support: works,
  },
  {
    name: 'inspect',
    script: 'inspect',
    task: 'inspect',
    architecture: null,
    help: 'Tell what is in an .onnx file: operators, FLOPs, memory over its run.',
    support: works,
  },
  {
    name: 'generate',
    script: 'wan_generate_video',
    task: 'generate',
    architecture: 'wan',
    help: 'Make videos with Wan 2.1 or 2.2.',
    support: laterGeneration,
  },
  {
    name: 'qwen_extract_lora',
    script: 'qwen_extract_lora',
    task: 'extract lora',
    architecture: null,
    help: 'Write the difference between two models as an adapter.',
    support: refused('extracting an adapter is not in this release'),
  },
  ...otherModels.flatMap(([architecture, title, generate]): CommandSpec[] => [
    {
      ...cacheNames(architecture, 'cache_latents'),
      task: 'cache latents',
      architecture,
      help: `Encode pictures and videos for training ${title}.`,
      support: laterCaches,
    },
    {
      ...cacheNames(architecture, 'cache_text_encoder_outputs'),
      task: 'cache text',
      architecture,
      help: `Encode captions for training ${title}.`,
      support: laterCaches,
    },
    {
      name: `${architecture}_train_network`,
      script: `${architecture}_train_network`,
      task: 'train',
      architecture,
      help: `Train a LoRA for ${title}.`,
      support: laterModel,
    },
    {
      name: generate,
      script: generate,
      task: 'generate',
      architecture,
      help: `Make pictures or videos with ${title}.`,
      support: laterGeneration,
    },
  ]),
  {
    name: 'hv_train',
    script: 'hv_train',
    task: 'train model',
    architecture: 'hv',
    help: 'Train all weights of HunyuanVideo.',
    support: refused('training all weights of a model is not in this release'),
    lacks: newerTrainOptions,
  },
  {
    name: 'qwen_image_train',
    script: 'qwen_image_train',
    task: 'train model',
    architecture: 'qwen_image',
    help: 'Train all weights of Qwen-Image.',
    support: refused('training all weights of a model is not in this release'),
  },
  ...(
    [
      ['hv_1_5_cache_latents', 'cache latents'],
      ['hv_1_5_cache_text_encoder_outputs', 'cache text'],
      ['hv_1_5_train_network', 'train'],
      ['hv_1_5_generate_video', 'generate'],
    ] as const
  ).map(([script, task]): CommandSpec => ({
    name: script,
    script,
    task,
    architecture: 'hv_1_5',
    help: 'HunyuanVideo 1.5.',
    support: refused('HunyuanVideo 1.5 is not supported'),
    isNameOnly: true,
  })),
];

/** The scripts of HunyuanVideo that make caches have no model in their names; those names stand for all models here. */
function cacheNames(architecture: ArchitectureName, name: string): Pick<CommandSpec, 'name' | 'script'> {
  return architecture === 'hv'
    ? { name: `${name}.py`, script: name }
    : { name: `${architecture}_${name}`, script: `${architecture}_${name}` };
}

/**
 * Finds a command by its name, by the original's script, or by a path to that script (`src/…/wan_train_network.py`). What is
 * written as a file is a script first.
 */
export function findCommand(written: string): CommandSpec | undefined {
  const file = written.replace(/^.*[\\/]/, '');
  const script = file.replace(/\.py$/i, '');
  const byScript = commandTable.find((command) => command.script === script);
  const byName = commandTable.find(({ name }) => name === script);
  return file === script && file === written ? (byName ?? byScript) : (byScript ?? byName);
}

/** The command for the same task with another model. */
export function commandFor(task: CommandSpec['task'], architecture: string): CommandSpec | undefined {
  return commandTable.find((command) => command.task === task && command.architecture === architecture);
}

/** The options of a command, in the order of the table. */
export function optionsOf({ script, task, lacks }: CommandSpec): OptionSpec[] {
  // An estimate is of a training run, so it takes the same options.
  const isTraining = task === 'train' || task === 'train model' || task === 'estimate';
  const own = task === 'estimate' ? [script, 'wan_train_network'] : [script];
  return optionTable.filter(({ name, scripts }) =>
    scripts === undefined ? isTraining && !lacks?.includes(name) : scripts.some((known) => own.includes(known)),
  );
}
