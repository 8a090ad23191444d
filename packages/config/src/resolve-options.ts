import type { CacheLatentsConfig, CacheTextConfig } from './cache-config.ts';
import { checkRules, isChanged, type RuleFindings } from './check-rules.ts';
import { chooseCommand, workingCommands } from './choose-command.ts';
import type { CommandSpec } from './commands.ts';
import { ConfigError, throwIfAny, type ConfigProblem } from './errors.ts';
import { asWritten, placeOf, type Origin } from './origin.ts';
import type { QuantizeConfig } from './quantize-config.ts';
import { readOptions, type OptionsRead, type ReadOption, type ReadText } from './read-options.ts';
import { toCacheLatentsConfig, toCacheTextConfig } from './to-cache-config.ts';
import { type InspectConfig, toInspectConfig } from './inspect-config.ts';
import type { AverageLorasConfig, ConvertLoraConfig, MergeLorasConfig } from './lora-config.ts';
import { toAverageConfig, toConvertConfig, toMergeConfig } from './to-lora-config.ts';
import { toQuantizeConfig } from './to-quantize-config.ts';
import { toTrainConfig } from './to-train-config.ts';
import type { TrainConfig } from './train-config.ts';

export interface ResolveRequest {
  /** `train`, `cache_latents`, …, or the name of the original's script, with or without `.py`. */
  readonly command: string;
  /** The command line behind the command. */
  readonly argv: readonly string[];
  /** Reads a text file; paths are as the user wrote them, relative to the working folder. */
  readonly readText: ReadText;
}

/** What a command line says, apart from the configuration itself. */
interface Resolved {
  readonly command: CommandSpec;
  /** Every option with its value, by its snake_case name. */
  readonly options: ReadonlyMap<string, ReadOption>;
  /** Where each value comes from, by the option's snake_case name. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** Lines to print once: options that were accepted, and what is done instead of them. */
  readonly answers: readonly string[];
  /** What is wrong; never any where the configuration is to be used. */
  readonly problems: readonly ConfigProblem[];
}

/** The options of a training command. */
export interface ResolvedOptions extends Resolved {
  readonly task: 'train';
  readonly config: TrainConfig;
}

/** The options of any command, with the configuration of its task. */
export type ResolvedCommand =
  | ResolvedOptions
  | (Resolved & { readonly task: 'cache latents'; readonly config: CacheLatentsConfig })
  | (Resolved & { readonly task: 'cache text'; readonly config: CacheTextConfig })
  | (Resolved & { readonly task: 'average loras'; readonly config: AverageLorasConfig })
  | (Resolved & { readonly task: 'merge loras'; readonly config: MergeLorasConfig })
  | (Resolved & { readonly task: 'convert lora'; readonly config: ConvertLoraConfig })
  | (Resolved & { readonly task: 'quantize'; readonly config: QuantizeConfig })
  | (Resolved & { readonly task: 'estimate'; readonly config: TrainConfig; readonly json: boolean })
  | (Resolved & { readonly task: 'inspect'; readonly config: InspectConfig });

/**
 * Reads command line and configuration file of a command and checks them.
 *
 * @throws {ConfigError} with every problem found; nothing is returned that a run could half use. For a command that this
 *   release does not have, its options are checked too
 */
export async function resolveCommand(request: ResolveRequest): Promise<ResolvedCommand> {
  const found = await examineCommand(request);
  throwIfAny(found.problems);
  return found;
}

/**
 * As {@link resolveCommand}, with the mistakes as `problems` beside the rest: an option with a mistake keeps its default, so
 * that what it names can still be looked at.
 *
 * @throws {ConfigError} `UNKNOWN_COMMAND`, `NOT_IN_THIS_RELEASE` of a command, `CONFIG_FILE_NOT_FOUND`, `CONFIG_FILE_UNREADABLE`,
 *   `TOML_SYNTAX`
 */
export async function examineCommand(request: ResolveRequest): Promise<ResolvedCommand> {
  const command = await chooseCommand(request);
  const read = await readOptions(command, request.argv, request.readText);
  const rules = checkRules(command, read);
  if (command.support.state === 'refused') {
    throwIfAny([notBuilt(command, request.command), ...merged(read.problems, rules.problems)]);
  }
  switch (command.task) {
    case 'train': {
      const { config, problems } = await toTrainConfig(read, request.readText);
      return { task: 'train', config, ...resolved(command, read, problems, rules) };
    }
    case 'cache latents': {
      const { config, problems } = toCacheLatentsConfig(read, command, request.command);
      return { task: 'cache latents', config, ...resolved(command, read, problems, rules) };
    }
    case 'cache text': {
      const { config, problems } = toCacheTextConfig(read, command, request.command);
      return { task: 'cache text', config, ...resolved(command, read, problems, rules) };
    }
    case 'average loras': {
      const { config, problems } = toAverageConfig(read);
      return { task: 'average loras', config, ...resolved(command, read, problems, rules) };
    }
    case 'merge loras': {
      const { config, problems } = toMergeConfig(read);
      return { task: 'merge loras', config, ...resolved(command, read, problems, rules) };
    }
    case 'convert lora': {
      const { config, problems } = toConvertConfig(read);
      return { task: 'convert lora', config, ...resolved(command, read, problems, rules) };
    }
    case 'quantize': {
      const { config, problems } = toQuantizeConfig(read);
      return { task: 'quantize', config, ...resolved(command, read, problems, rules) };
    }
    case 'estimate': {
      const { config, problems } = await toTrainConfig(read, request.readText);
      const json = read.options.get('json')?.value.value === true;
      return { task: 'estimate', config, json, ...resolved(command, read, problems, rules) };
    }
    case 'inspect': {
      const { config, problems } = toInspectConfig(read);
      return { task: 'inspect', config, ...resolved(command, read, problems, rules) };
    }
    case 'train model':
    case 'generate':
    case 'extract lora':
      throw new Error(`internal: nothing reads the options of ${command.name}`);
  }
}

/** As {@link resolveCommand}, for a training command; others are refused. */
export async function resolveOptions(request: ResolveRequest): Promise<ResolvedOptions> {
  const found = await resolveCommand(request);
  if (found.task === 'train') return found;
  throw new ConfigError([
    {
      code: 'UNKNOWN_COMMAND',
      text: `${request.command} does not train.`,
      remedy: 'Give train, or the name of a training script.',
      value: request.command,
    },
  ]);
}

function resolved(
  command: CommandSpec,
  read: OptionsRead,
  problems: readonly ConfigProblem[],
  rules: RuleFindings,
): Resolved {
  const refused = [...read.options.values()].flatMap(notInThisRelease);
  return {
    problems: merged(read.problems, refused, problems, rules.problems),
    command,
    options: read.options,
    origins: new Map([...read.options].map(([name, { origin }]) => [name, origin])),
    answers: [...read.answers, ...answersOf([...read.options.values()]), ...rules.warnings],
  };
}

/** Later lists leave out options that an earlier one has found at fault: what could not be read is not also missing. */
function merged(...lists: readonly (readonly ConfigProblem[])[]): ConfigProblem[] {
  const found: ConfigProblem[] = [];
  for (const list of lists) {
    const wrong = new Set(found.map(({ option }) => option).filter((option) => option !== undefined));
    found.push(...list.filter(({ option }) => option === undefined || !wrong.has(option)));
  }
  return found;
}

function notBuilt({ support }: CommandSpec, written: string): ConfigProblem {
  const reason = support.state === 'refused' ? support.reason : '';
  return { code: 'NOT_IN_THIS_RELEASE', text: `${written}: ${reason}.`, remedy: workingCommands, value: written };
}

/** Refuses what is known but cannot be done yet, so that no option is silently without effect. */
function notInThisRelease({ spec, value, origin, written }: ReadOption): ConfigProblem[] {
  const choice = value.type === 'string' ? spec.refusedChoices?.[value.value] : undefined;
  const reason =
    choice ?? (spec.support.state === 'refused' && isChanged({ spec, value }) ? spec.support.reason : undefined);
  if (reason === undefined) return [];
  const working = spec.choices?.filter((name) => spec.refusedChoices?.[name] === undefined);
  return [
    {
      code: 'NOT_IN_THIS_RELEASE',
      text: `${asWritten(origin, spec.name, written)}: ${reason}.`,
      remedy: choice === undefined ? `Remove ${spec.name}.` : `${spec.name} can be ${working?.join(', ')}.`,
      option: spec.name,
      value: written,
      ...placeOf(origin),
    },
  ];
}

/** One line for each thing to say; options with the same answer share it. */
function answersOf(options: readonly ReadOption[]): string[] {
  const names = new Map<string, string[]>();
  for (const { spec, value } of options) {
    if (spec.support.state !== 'accepted' || !isChanged({ spec, value })) continue;
    const { answer, unless } = spec.support;
    if (unless?.some((quiet) => quiet === value.value)) continue;
    names.set(answer, [...(names.get(answer) ?? []), spec.name]);
  }
  return [...names].map(([answer, list]) => `${list.join(', ')}: ${answer}`);
}
