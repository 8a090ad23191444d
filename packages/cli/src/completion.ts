import { commandTable, optionsOf, type OptionSpec } from '@musubi/config';

import { CliError } from './errors.ts';

export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const;

/** Words that are commands beside those of the option table. */
const otherCommands = ['completion', 'run', 'validate', 'wandb'];

/**
 * A script that completes commands, options and choices in a shell.
 *
 * @throws {CliError} `USAGE` for another shell
 */
export function completionScript(shell: string): string {
  switch (shell) {
    case 'bash':
      return bash();
    case 'zsh':
      return `#compdef musubi\nautoload -U +X bashcompinit && bashcompinit\n${bash()}`;
    case 'fish':
      return fish();
    case 'powershell':
      return powershell();
    default:
      throw new CliError(
        'USAGE',
        `There is no completion for "${shell}".`,
        `Write musubi completion ${shells.join(', or ')}.`,
      );
  }
}

const commands = commandTable.filter(({ support }) => support.state === 'works');

/** Each command under all its names, with its options. */
const named = commands.flatMap((command) =>
  [...new Set([command.name, command.script])].map((name) => ({ name, options: offered(optionsOf(command)) })),
);

const words = [...named.map(({ name }) => name), ...otherCommands];

function offered(options: readonly OptionSpec[]): OptionSpec[] {
  return options.filter(({ support, isPositional }) => support.state !== 'refused' && !isPositional);
}

function choicesOf({ choices, refusedChoices }: OptionSpec): string[] {
  return (choices ?? []).filter((choice) => refusedChoices?.[choice] === undefined);
}

function bash(): string {
  const byCommand = named.map(
    ({ name, options }) => `    ${name}) options="${options.map((option) => `--${option.name}`).join(' ')}" ;;`,
  );
  const byOption = new Map(
    named.flatMap(({ name, options }) =>
      options.flatMap((option) => {
        const list = choicesOf(option);
        return list.length === 0
          ? []
          : [[`    ${name}:--${option.name}) choices="${list.join(' ')}" ;;`, true] as const];
      }),
    ),
  );
  return `_musubi() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}" options="" choices=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$current"))
    return
  fi
  case "$command:$previous" in
${[...byOption.keys()].join('\n')}
  esac
  case "$command" in
${byCommand.join('\n')}
    completion) choices="${shells.join(' ')}" ;;
  esac
  if [ -n "$choices" ]; then
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
  elif [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$options --help" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}
complete -o filenames -F _musubi musubi
`;
}

/** As fish reads it. */
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

function fish(): string {
  return [
    `complete -c musubi -n __fish_use_subcommand -f -a ${quoted(words.join(' '))}`,
    `complete -c musubi -n '__fish_seen_subcommand_from completion' -f -a ${quoted(shells.join(' '))}`,
    ...named.flatMap(({ name, options }) =>
      options.map((option) => {
        const list = choicesOf(option);
        const value = option.type === 'bool' ? '' : list.length > 0 ? ` -x -a ${quoted(list.join(' '))}` : ' -r';
        return `complete -c musubi -n '__fish_seen_subcommand_from ${name}' -l ${option.name} -d ${quoted(option.help)}${value}`;
      }),
    ),
    '',
  ].join('\n');
}

function powershell(): string {
  const table = named.map(
    ({ name, options }) => `    '${name}' = '${options.map((option) => `--${option.name}`).join(' ')}'`,
  );
  return `Register-ArgumentCompleter -Native -CommandName musubi -ScriptBlock {
  param($word, $ast, $position)
  $options = @{
${table.join('\n')}
    'completion' = '${shells.join(' ')}'
  }
  $elements = $ast.CommandElements
  $list = if ($elements.Count -lt 2 -or ($elements.Count -eq 2 -and $word)) { '${words.join(' ')}' } else { $options["$($elements[1])"] }
  "$list" -split ' ' | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterName', $_)
  }
}
`;
}
