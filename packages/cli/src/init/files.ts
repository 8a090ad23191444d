import { optionsOf } from '@musubi/config';
import { datasetOptions } from '@musubi/dataset';

import { type Settings, trainCommand } from './settings.ts';

type Value = string | number | boolean | readonly number[] | { readonly float: string };
type Section = readonly [header: string, values: readonly (readonly [option: string, value: Value])[]];

/** The text of config.toml, each value with what it is, as `musubi train --help` says it. */
export function configText(settings: Settings): string {
  const dim = Number(settings.network_dim);
  const sections: readonly Section[] = [
    [
      '[model]',
      [
        ['task', settings.task],
        ['dit', settings.dit],
      ],
    ],
    ['[data]', [['dataset_config', settings.dataset_config]]],
    [
      '[network]',
      [
        ['network_module', 'networks.lora_wan'],
        ['network_dim', dim],
        ['network_alpha', Math.max(1, dim / 2)],
      ],
    ],
    [
      '[optimizer]',
      [
        ['optimizer_type', 'AdamW'],
        ['learning_rate', { float: '1e-4' }],
        ['lr_scheduler', 'constant_with_warmup'],
        ['lr_warmup_steps', { float: '0.05' }],
        ['max_grad_norm', { float: '1.0' }],
      ],
    ],
    [
      '[timesteps]',
      [
        ['timestep_sampling', 'shift'],
        ['discrete_flow_shift', { float: '3.0' }],
      ],
    ],
    [
      '[training]',
      [
        ['max_train_epochs', Number(settings.max_train_epochs)],
        ['gradient_checkpointing', true],
        ['seed', 42],
      ],
    ],
    [
      '[output]',
      [
        ['output_dir', settings.output_dir],
        ['output_name', settings.output_name],
        ['save_every_n_epochs', 1],
      ],
    ],
  ];
  const options = optionsOf(trainCommand());
  const helpOf = (name: string) => options.find((option) => option.name === name)?.help;
  const head = [
    `# Training of a LoRA for ${settings.architecture}: musubi train --config_file ${settings.config_file}`,
    '# musubi train --help lists all options. What stands on the command line wins: --learning_rate 2e-4',
  ];
  return toml(head, sections, helpOf);
}

/** The text of dataset.toml, each value with what it is. */
export function datasetText(settings: Settings): string {
  const [width = 960, height = width] = settings.resolution.split(/[ ,x]/).map(Number);
  const sections: readonly Section[] = [
    [
      '[general]',
      [
        ['resolution', [width, height]],
        ['caption_extension', settings.caption_extension],
        ['batch_size', 1],
        ['enable_bucket', true],
        ['bucket_no_upscale', false],
      ],
    ],
    [
      '[[datasets]]',
      [
        ['image_directory', settings.images],
        ['cache_directory', settings.cache_directory],
        ['num_repeats', 1],
      ],
    ],
  ];
  const head = [
    '# What is trained on. [general] holds for all datasets; add another [[datasets]] for each further folder.',
  ];
  return toml(head, sections, datasetHelp);
}

function datasetHelp(name: string): string | undefined {
  const help = datasetOptions.find((option) => option.name === name)?.help;
  return help && `${help[0]?.toUpperCase()}${help.slice(1)}.`;
}

function toml(
  head: readonly string[],
  sections: readonly Section[],
  helpOf: (option: string) => string | undefined,
): string {
  const blocks = sections.map(([header, values]) => [
    '',
    header,
    ...values.flatMap(([option, value]) => [`# ${helpOf(option) ?? option}`, `${option} = ${written(value)}`]),
  ]);
  return `${[...head, ...blocks.flat()].join('\n')}\n`;
}

/** In TOML's notation, whose texts in double quotes are those of JSON. */
function written(value: Value): string {
  if (typeof value !== 'object') return JSON.stringify(value);
  return 'float' in value ? value.float : `[${value.join(', ')}]`;
}
