import { basename } from 'node:path';

import { findCommand, optionsOf } from '@musubi/config';

import { CliError } from '../errors.ts';

/** What `musubi init` needs to know, by the name of its option. */
export interface Setting {
  readonly name: SettingName;
  /** Asked in a terminal. */
  readonly question: string;
  /** Taken where nobody is asked; null: it has to be given. */
  readonly usual: (known: Partial<Settings>) => string | null;
  /** What is wrong with an answer, and what to write; null when nothing is. */
  readonly refuse: (answer: string) => readonly [found: string, remedy: string] | null;
  /** Others take the usual value unless they are given. */
  readonly isAsked: boolean;
}

export type SettingName =
  | 'architecture'
  | 'task'
  | 'dit'
  | 'images'
  | 'caption_extension'
  | 'resolution'
  | 'vae'
  | 't5'
  | 'network_dim'
  | 'max_train_epochs'
  | 'output_dir'
  | 'output_name'
  | 'config_file'
  | 'dataset_config'
  | 'cache_directory';

export type Settings = Readonly<Record<SettingName, string>>;

const later = ['hv', 'hv_1_5', 'fpack', 'flux_kontext', 'qwen_image'];

const taskOption = optionsOf(trainCommand()).find(({ name }) => name === 'task');
const tasks = (taskOption?.choices ?? []).filter((name) => taskOption?.refusedChoices?.[name] === undefined);

const filled = (answer: string) => (answer.trim() === '' ? (['nothing is given.', 'Give a path.'] as const) : null);
const positive = (answer: string) =>
  /^[1-9]\d{0,8}$/.test(answer) ? null : ([`"${answer}" is no whole number from 1.`, 'Write e.g. 16.'] as const);
const tomlName = (answer: string) =>
  answer.endsWith('.toml')
    ? filled(answer)
    : ([`"${answer}" does not end with .toml.`, 'Write e.g. config.toml.'] as const);

/** In the order in which they are asked. */
export const settingTable: readonly Setting[] = [
  {
    name: 'architecture',
    question: 'Architecture',
    usual: () => 'wan',
    isAsked: true,
    refuse(answer) {
      if (answer === 'wan') return null;
      if (later.includes(answer)) return [`${answer} is not built yet.`, 'This release has wan.'];
      return [`"${answer}" is no architecture known here.`, `This release has wan; ${later.join(', ')} will come.`];
    },
  },
  {
    name: 'dit',
    question: 'Transformer checkpoint (.safetensors)',
    usual: () => null,
    isAsked: true,
    refuse: filled,
  },
  {
    name: 'task',
    question: `Task (${tasks.join(', ')})`,
    usual: ({ dit = '' }) => taskOf(basename(dit)),
    isAsked: true,
    refuse: (answer) =>
      tasks.includes(answer) ? null : [`"${answer}" is no task of this release.`, `Choose one of ${tasks.join(', ')}.`],
  },
  { name: 'images', question: 'Folder of pictures', usual: () => null, isAsked: true, refuse: filled },
  {
    name: 'caption_extension',
    question: 'Extension of the files with captions',
    usual: () => '.txt',
    isAsked: false,
    refuse: (answer) => (/^\../.test(answer) ? null : [`"${answer}" has no dot.`, 'Write e.g. .txt.']),
  },
  {
    name: 'resolution',
    question: 'Resolution, width and height in pixels',
    usual: () => '960,544',
    isAsked: true,
    refuse: (answer) =>
      /^\d{1,5}(?:[ ,x]\d{1,5})?$/.test(answer) ? null : [`"${answer}" is no size.`, 'Write e.g. 960,544 or 512.'],
  },
  {
    name: 'cache_directory',
    question: 'Folder for caches',
    usual: () => 'cache',
    isAsked: false,
    refuse: filled,
  },
  { name: 'vae', question: 'VAE checkpoint', usual: () => 'Wan2.1_VAE.pth', isAsked: true, refuse: filled },
  {
    name: 't5',
    question: 'Text encoder checkpoint',
    usual: () => 'models_t5_umt5-xxl-enc-bf16.pth',
    isAsked: true,
    refuse: filled,
  },
  { name: 'network_dim', question: 'Rank of the adapter', usual: () => '16', isAsked: false, refuse: positive },
  { name: 'max_train_epochs', question: 'Epochs', usual: () => '16', isAsked: false, refuse: positive },
  { name: 'output_dir', question: 'Folder for the LoRA', usual: () => 'output', isAsked: true, refuse: filled },
  {
    name: 'output_name',
    question: 'Name of the LoRA',
    usual: () => 'my_lora',
    isAsked: true,
    refuse: (answer) =>
      answer === '' || /[\\/]/.test(answer) ? [`"${answer}" is no file name.`, 'Write e.g. my_lora.'] : null,
  },
  { name: 'config_file', question: 'Configuration', usual: () => 'config.toml', isAsked: false, refuse: tomlName },
  {
    name: 'dataset_config',
    question: 'Dataset configuration',
    usual: () => 'dataset.toml',
    isAsked: false,
    refuse: tomlName,
  },
];

/** By the names that checkpoints are published under. */
function taskOf(file: string): string {
  if (!/14b/i.test(file)) return 't2v-1.3B';
  return /2[._]2|a14b|noise/i.test(file) ? 't2v-A14B' : 't2v-14B';
}

export function trainCommand() {
  const command = findCommand('wan_train_network');
  if (!command) throw new Error('internal: no training command');
  return command;
}

/** What stands on the command line of init. */
export interface InitArguments {
  readonly given: Partial<Settings>;
  /** Ask nothing. */
  readonly yes: boolean;
  /** Write over files that are there. */
  readonly force: boolean;
}

/** @throws {CliError} `USAGE` */
export function parseInit(argv: readonly string[]): InitArguments {
  const given: Partial<Record<SettingName, string>> = {};
  const flags = { yes: false, force: false };
  for (let i = 0; i < argv.length; i++) {
    const token = argv[i] ?? '';
    const [, name = '', attached] = /^--(\w+)(?:=(.*))?$/s.exec(token) ?? [];
    const setting = settingTable.find((row) => row.name === name);
    if (name === 'yes' || name === 'force') flags[name] = true;
    else if (!setting) throw new CliError('USAGE', `init has no ${token}.`, 'musubi init --help lists what it has.');
    else given[setting.name] = checked(setting, attached ?? argv[++i]);
  }
  return { given, ...flags };
}

function checked(setting: Setting, value: string | undefined): string {
  if (value === undefined)
    throw new CliError('USAGE', `--${setting.name} has no value.`, `Write --${setting.name} VALUE.`);
  const refusal = setting.refuse(value);
  if (refusal) throw new CliError('USAGE', `--${setting.name}: ${refusal[0]}`, refusal[1]);
  return value;
}
