import type { CacheLatentsConfig, CacheTextConfig } from './cache-config.ts';
import { findCommand, commandTable, type CommandSpec } from './commands.ts';
import { ConfigError, throwIfAny, type ConfigProblem } from './errors.ts';
import { didYouMean, nearestName } from './internal/nearest.ts';
import { asWritten, placeOf, type Origin } from './origin.ts';
import { toPlain } from './python-value.ts';
import type { QuantizeConfig } from './quantize-config.ts';
import { readOptions, type OptionsRead, type ReadOption, type ReadText } from './read-options.ts';
import { toCacheLatentsConfig, toCacheTextConfig } from './to-cache-config.ts';
import { type InspectConfig, toInspectConfig } from './inspect-config.ts';
import type { AverageLorasConfig, ConvertLoraConfig, MergeLorasConfig } from './lora-config.ts';
import { plainDefault } from './option-spec.ts';
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
  /** Where each value comes from, by the option's snake_case name. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** Lines to print once: options that were accepted, and what is done instead of them. */
  readonly answers: readonly string[];
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
 * @throws {ConfigError} with every problem found; nothing is returned that a run could half use
 */
export async function resolveCommand(request: ResolveRequest): Promise<ResolvedCommand> {
  const command = workingCommand(request.command);
  const read = await readOptions(command, request.argv, request.readText);
  switch (command.task) {
    case 'train': {
      const { config, problems } = await toTrainConfig(read, request.readText);
      return { task: 'train', config, ...resolved(command, read, problems) };
    }
    case 'cache latents': {
      const { config, problems } = toCacheLatentsConfig(read, command, request.command);
      return { task: 'cache latents', config, ...resolved(command, read, problems) };
    }
    case 'cache text': {
      const { config, problems } = toCacheTextConfig(read, command, request.command);
      return { task: 'cache text', config, ...resolved(command, read, problems) };
    }
    case 'average loras': {
      const { config, problems } = toAverageConfig(read);
      return { task: 'average loras', config, ...resolved(command, read, problems) };
    }
    case 'merge loras': {
      const { config, problems } = toMergeConfig(read);
      return { task: 'merge loras', config, ...resolved(command, read, problems) };
    }
    case 'convert lora': {
      const { config, problems } = toConvertConfig(read);
      return { task: 'convert lora', config, ...resolved(command, read, problems) };
    }
    case 'quantize': {
      const { config, problems } = toQuantizeConfig(read);
      return { task: 'quantize', config, ...resolved(command, read, problems) };
    }
    case 'estimate': {
      const { config, problems } = await toTrainConfig(read, request.readText);
      const json = read.options.get('json')?.value.value === true;
      return { task: 'estimate', config, json, ...resolved(command, read, problems) };
    }
    case 'inspect': {
      const { config, problems } = toInspectConfig(read);
      return { task: 'inspect', config, ...resolved(command, read, problems) };
    }
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

/** @throws {ConfigError} when there are problems */
function resolved(command: CommandSpec, read: OptionsRead, problems: readonly ConfigProblem[]): Resolved {
  const wrong = new Set(read.problems.map(({ option }) => option));
  throwIfAny([
    ...read.problems,
    ...[...read.options.values()].flatMap(notInThisRelease),
    // An option that could not be read is not also missing.
    ...problems.filter(({ option }) => !wrong.has(option)),
  ]);
  return {
    command,
    origins: new Map([...read.options].map(([name, { origin }]) => [name, origin])),
    answers: [...read.answers, ...answersOf([...read.options.values()])],
  };
}

function workingCommand(written: string): CommandSpec {
  const command = findCommand(written);
  const working = commandTable.filter(({ support }) => support.state === 'works').map(({ name }) => name);
  const remedy = `Commands that work: ${working.join(', ')}.`;
  if (command?.support.state === 'works') return command;
  if (command) {
    const reason = command.support.state === 'refused' ? command.support.reason : '';
    throw new ConfigError([
      {
        code: 'NOT_IN_THIS_RELEASE',
        text: `${written}: ${reason}.`,
        remedy,
        value: written,
      },
    ]);
  }
  const nearest = nearestName(
    written,
    commandTable.flatMap(({ name, script }) => [name, script]),
  );
  throw new ConfigError([
    {
      code: 'UNKNOWN_COMMAND',
      text: `"${written}" is not a command.`,
      remedy: nearest === undefined ? remedy : didYouMean(nearest).trim(),
      value: written,
      ...(nearest === undefined ? {} : { nearest }),
    },
  ]);
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

function isChanged({ spec, value }: Pick<ReadOption, 'spec' | 'value'>): boolean {
  const plain = toPlain(value);
  return plain !== plainDefault(spec.default) && !(Array.isArray(plain) && plain.length === 0);
}
