import {
  commandTable,
  optionGroups,
  optionsOf,
  plainDefault,
  type CommandSpec,
  type OptionGroup,
  type OptionSpec,
} from '@musubi/config';

/** Help of the program: its commands. */
export function programHelp(version: string): string {
  const commands = commandTable.filter(({ support }) => support.state === 'works');
  return [
    `musubi ${version}: train LoRA adapters for diffusion transformers, without Python.`,
    '',
    'Usage: musubi COMMAND [OPTIONS]',
    '',
    'Before a run',
    row('init', 'Write a configuration and a dataset configuration, with a comment at each value.'),
    row('validate', 'Look at options, dataset, pictures, caches and checkpoints, and list all that is wrong.'),
    row('doctor', 'Say what this machine has for training, and what to do about what it lacks.'),
    '',
    'Commands',
    ...commands.map(({ name, help }) => row(name, help)),
    row('validate [COMMAND] …', 'Check options, datasets and files, and list everything that is wrong.'),
    row('completion SHELL', 'Print a script that completes commands and options: bash, zsh, fish, powershell.'),
    row('run -- COMMAND LINE', 'Run a command line written for the original, as it is.'),
    row('wandb sync [PATH …]', 'Send runs to wandb that it does not have all of, from their files or folders.'),
    '',
    ...wrap(
      `The original's scripts are other names of them: ${commands
        .filter(({ name, script }) => name !== script)
        .map(({ script }) => script)
        .join(', ')}.`,
      width,
    ),
    'musubi COMMAND --help lists the options of a command, with --all every one; musubi COMMAND',
    '--print_config … shows their values. musubi --version shows the version.',
    '',
  ].join('\n');
}

/**
 * Help of a command, made from the option table.
 *
 * @param isComplete all options; otherwise those that most runs need, where the table names any
 */
export function commandHelp(command: CommandSpec, isComplete: boolean): string {
  const options = optionsOf(command);
  const basic = options.filter(({ isBasic }) => isBasic);
  const isShort = !isComplete && basic.length > 0;
  const working = (isShort ? basic : options).filter(
    ({ support }) => support.state === 'works' || command.support.state === 'refused',
  );
  const groups = Object.entries(optionGroups).flatMap(([group, title]) =>
    groupHelp(title, group as OptionGroup, working),
  );
  const positional = options.filter(({ isPositional }) => isPositional).map((option) => usage(option));
  const hasFile = options.some(({ name }) => name === 'config_file');
  return [
    ['Usage: musubi', command.name, ...positional, ...required(command, hasFile)].join(' '),
    '',
    ...wrap(
      command.support.state === 'refused'
        ? `${command.help} Not in this release: options are checked, nothing is done.`
        : command.help,
      width,
    ),
    ...(hasFile ? ['Every option may stand in the TOML file or on the command line, which wins.'] : []),
    '',
    ...groups,
    ...(isShort
      ? [
          `musubi ${command.name} --help --all lists all ${options.length} options; --print_config shows what they come to.`,
          '',
        ]
      : [
          ...nameList('Accepted for compatibility, without effect on the result', options, 'accepted'),
          ...(command.support.state === 'works' ? nameList('Not in this release', options, 'refused') : []),
        ]),
  ].join('\n');
}

/** What has to stand behind a command. */
function required({ task }: CommandSpec, hasFile: boolean): string[] {
  if (task === 'cache latents') return ['--dataset_config FILE --vae FILE …'];
  if (task === 'cache text') return ['--dataset_config FILE …'];
  if (task === 'quantize') return ['--architecture NAME …'];
  return [...(hasFile ? ['--config_file FILE'] : []), '[OPTIONS]'];
}

const width = 100;
const indent = 34;

function groupHelp(title: string, group: OptionGroup, options: readonly OptionSpec[]): string[] {
  const rows = options
    .filter((option) => option.group === group)
    .map((option) => row(usage(option), description(option)));
  return rows.length === 0 ? [] : [title, ...rows, ''];
}

function usage({ name, type, nargs, choices, isPositional }: OptionSpec): string {
  if (isPositional) return nargs === undefined ? name.toUpperCase() : `${name.toUpperCase()} …`;
  if (type === 'bool') return `--${name}`;
  const value = choices ? 'NAME' : { string: 'TEXT', path: 'FILE', int: 'N', float: 'NUMBER', int_or_float: 'N' }[type];
  if (typeof nargs === 'number') return `--${name} ${Array.from({ length: nargs }, () => value).join(' ')}`;
  return `--${name} ${nargs === undefined ? value : `[${value} …]`}`;
}

function description({ help, choices, refusedChoices, default: initial }: OptionSpec): string {
  const known = choices?.filter((choice) => refusedChoices?.[choice] === undefined);
  const shown = plainDefault(initial);
  return [
    help,
    known ? ` One of ${known.join(', ')}.` : '',
    shown === null || shown === false || shown === '' || typeof shown === 'object'
      ? ''
      : ` Default: ${showDefault(shown)}.`,
  ].join('');
}

function showDefault(value: string | number | true): string {
  // 2e-6 rather than 0.000002
  return typeof value === 'number' && value > 0 && value < 1e-3 ? value.toExponential() : String(value);
}

function row(left: string, text: string): string {
  const lines = wrap(text, width - indent).map((line) => ' '.repeat(indent) + line);
  const head = `  ${left}`;
  // A long name stands on a line of its own.
  if (head.length + 2 > indent) return [head, ...lines].join('\n');
  return [head.padEnd(indent) + (lines[0] ?? '').trimStart(), ...lines.slice(1)].join('\n');
}

function nameList(title: string, options: readonly OptionSpec[], state: OptionSpec['support']['state']): string[] {
  const names = options.filter(({ support }) => support.state === state).map(({ name }) => name);
  if (names.length === 0) return [];
  return [title, ...wrap(names.join(', '), width - 2).map((line) => `  ${line}`), ''];
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
