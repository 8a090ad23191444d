import type { CommandSpec } from './commands.ts';
import { optionGroups } from './option-spec.ts';
import type { Origin } from './origin.ts';
import { pythonFloat, type PythonValue } from './python-value.ts';
import type { ReadOption } from './read-options.ts';

/**
 * Every option of a command with its value, as a TOML file that can be read again: sections are the groups of the help,
 * options without a value stand in comments, secrets and the name of the configuration file are left out.
 *
 * @param origins say behind each value where it comes from
 */
export function resolvedToml(
  command: Pick<CommandSpec, 'name'>,
  options: ReadonlyMap<string, ReadOption>,
  { origins = false }: { readonly origins?: boolean } = {},
): string {
  const shown = [...options.values()].filter(({ spec }) => !spec.isSecret && spec.name !== 'config_file');
  const sections = Object.entries(optionGroups).flatMap(([group, title]) => {
    const lines = shown.filter(({ spec }) => spec.group === group).map((option) => line(option, origins));
    return lines.length === 0 ? [] : [`\n# ${title}\n[${group}]`, ...lines];
  });
  return [`# All options of ${command.name}; those in comments have no value.`, ...sections, ''].join('\n');
}

function line({ spec, value, origin }: ReadOption, origins: boolean): string {
  const text = value.type === 'null' ? `# ${spec.name} =` : `${spec.name} = ${tomlValue(spec.type, value)}`;
  return origins ? `${text} # ${describeOrigin(origin)}` : text;
}

/** `default`, `command line`, or `config.toml, line 3`. */
export function describeOrigin(origin: Origin): string {
  if (origin.source !== 'file') return origin.source;
  return origin.line === null ? origin.file : `${origin.file}, line ${origin.line}`;
}

function tomlValue(type: ReadOption['spec']['type'], value: PythonValue): string {
  switch (value.type) {
    case 'null':
      return '""';
    case 'bool':
      return String(value.value);
    case 'int':
      return BigInt(value.value).toString();
    case 'float':
      // All of the steps as a share: 1.0 would be read as one step.
      return type === 'int_or_float' && value.value >= 1 ? `"${value.value * 100}%"` : pythonFloat(value.value);
    case 'string':
      return tomlString(value.value);
    case 'list':
    case 'tuple':
      return `[${value.value.map((item) => tomlValue(type, item)).join(', ')}]`;
    case 'table':
      throw new Error('internal: no option is a table');
  }
}

/** JSON's notation is TOML's, but for one control character. */
function tomlString(text: string): string {
  return JSON.stringify(text).replaceAll('\u007F', '\\u007F');
}
