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
    | 'cache latents'
    | 'cache text'
    | 'average loras'
    | 'merge loras'
    | 'convert lora'
    | 'quantize'
    | 'estimate'
    | 'inspect';
  /** One sentence. */
  readonly help: string;
  readonly support: OptionSupport;
}

const laterModel = refused('this model is not in this release');

export const commandTable: readonly CommandSpec[] = [
  {
    name: 'cache_latents',
    script: 'wan_cache_latents',
    task: 'cache latents',
    help: 'Encode pictures for training, with --architecture wan.',
    support: works,
  },
  {
    name: 'cache_text_encoder_outputs',
    script: 'wan_cache_text_encoder_outputs',
    task: 'cache text',
    help: 'Encode captions for training, with --architecture wan.',
    support: works,
  },
  {
    name: 'train',
    script: 'wan_train_network',
    task: 'train',
    help: 'Train a LoRA for Wan 2.1 or 2.2 text-to-video.',
    support: works,
  },
  {
    name: 'lora_post_hoc_ema',
    script: 'lora_post_hoc_ema',
    task: 'average loras',
    help: 'Average adapters that one run has saved.',
    support: works,
  },
  {
    name: 'merge_lora',
    script: 'merge_lora',
    task: 'merge loras',
    help: 'Merge adapters into a checkpoint.',
    support: works,
  },
  {
    name: 'convert_lora',
    script: 'convert_lora',
    task: 'convert lora',
    help: 'Convert an adapter to the layout of ComfyUI and Diffusers, or back.',
    support: works,
  },
  {
    name: 'quantize',
    script: 'quantize',
    task: 'quantize',
    help: 'Write a checkpoint whose weights are 8-bit floats, and print the error of each.',
    support: works,
  },
  {
    name: 'estimate',
    script: 'estimate',
    task: 'estimate',
    help: 'Tell the memory and time that a training run needs, and settings that fit. Takes the options of train.',
    support: works,
  },
  {
    name: 'inspect',
    script: 'inspect',
    task: 'inspect',
    help: 'Tell what is in an .onnx file: operators, FLOPs, memory over its run.',
    support: works,
  },
  ...[
    'hv_train_network',
    'hv_1_5_train_network',
    'fpack_train_network',
    'flux_kontext_train_network',
    'qwen_image_train_network',
    'qwen_image_train',
  ].map(
    (script) => ({ name: script, script, task: 'train', help: 'Not in this release.', support: laterModel }) as const,
  ),
];

/** Finds a command by its name, by the original's script, or by a path to that script (`src/…/wan_train_network.py`). */
export function findCommand(written: string): CommandSpec | undefined {
  const name = written.replace(/^.*[\\/]/, '').replace(/\.py$/i, '');
  return commandTable.find((command) => command.name === name || command.script === name);
}

/** The options of a command, in the order of the table. */
export function optionsOf({ script, task }: CommandSpec): OptionSpec[] {
  // An estimate is of a training run, so it takes the same options.
  const isTraining = task === 'train' || task === 'estimate';
  const own = task === 'estimate' ? [script, 'wan_train_network'] : [script];
  return optionTable.filter(({ scripts }) => scripts?.some((name) => own.includes(name)) ?? isTraining);
}
