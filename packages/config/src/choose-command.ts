import { architectures } from './architectures.ts';
import { commandFor, commandTable, findCommand, type CommandSpec } from './commands.ts';
import { ConfigError } from './errors.ts';
import { didYouMean, nearestName } from './internal/nearest.ts';
import type { ReadText } from './read-options.ts';
import { readTomlEntries } from './toml-file.ts';

/** What to say behind a command that cannot be had. */
export const workingCommands = `Commands that work: ${commandTable
  .filter(({ support }) => support.state === 'works')
  .map(({ name }) => name)
  .join(', ')}.`;

/**
 * The command that is meant: by its name, and where that is for any model by `--architecture` on the command line or
 * in the configuration file.
 *
 * @throws {ConfigError} `UNKNOWN_COMMAND`; `NOT_IN_THIS_RELEASE` for scripts that are known by name alone; `BAD_COMBINATION`
 *   where the script is for another model
 */
export async function chooseCommand(request: {
  readonly command: string;
  readonly argv: readonly string[];
  readonly readText: ReadText;
}): Promise<CommandSpec> {
  const named = findCommand(request.command);
  if (named === undefined) throw unknownCommand(request.command);
  const architecture = await architectureOf(request.argv, request.readText);
  const isGeneral = named.name === request.command && named.name !== named.script;
  let command = named;
  if (architecture !== undefined && named.architecture !== null && architecture !== named.architecture) {
    if (!isGeneral && architectures.some((name) => name === architecture)) {
      throw otherModel(request.command, named, architecture);
    }
    // A name that is none is refused with all other values.
    command = commandFor(named.task, architecture) ?? named;
  }
  if (!command.isNameOnly) return command;
  const reason = command.support.state === 'refused' ? command.support.reason : '';
  throw new ConfigError([
    {
      code: 'NOT_IN_THIS_RELEASE',
      text: `${request.command}: ${reason}.`,
      remedy: workingCommands,
      value: request.command,
    },
  ]);
}

/** Undefined where nothing is said; a file that cannot be read is refused later, with everything else. */
async function architectureOf(argv: readonly string[], readText: ReadText): Promise<string | undefined> {
  const typed = valueOf('architecture', argv);
  if (typed !== undefined) return typed;
  const path = valueOf('config_file', argv);
  if (path === undefined) return undefined;
  try {
    const file = path.endsWith('.toml') ? path : `${path}.toml`;
    const { entries } = readTomlEntries(await readText(file), file);
    const found = entries.find(({ key }) => key === 'architecture')?.value;
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}

function valueOf(name: string, argv: readonly string[]): string | undefined {
  const at = argv.findLastIndex((token) => token === `--${name}` || token.startsWith(`--${name}=`));
  const token = argv[at];
  return token?.includes('=') ? token.slice(name.length + 3) : token && argv[at + 1];
}

function unknownCommand(written: string): ConfigError {
  const nearest = nearestName(
    written,
    commandTable.flatMap(({ name, script }) => [name, script]),
  );
  return new ConfigError([
    {
      code: 'UNKNOWN_COMMAND',
      text: `"${written}" is not a command.`,
      remedy: nearest === undefined ? workingCommands : didYouMean(nearest).trim(),
      value: written,
      ...(nearest === undefined ? {} : { nearest }),
    },
  ]);
}

function otherModel(written: string, { architecture }: CommandSpec, asked: string): ConfigError {
  return new ConfigError([
    {
      code: 'BAD_COMBINATION',
      text: `${written} is for ${architecture}, but architecture is ${asked}.`,
      remedy: 'Remove architecture, or choose another command.',
      option: 'architecture',
      value: asked,
    },
  ]);
}
