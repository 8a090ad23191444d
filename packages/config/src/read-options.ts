import { parseArguments } from './argv.ts';
import { optionsOf, type CommandSpec } from './commands.ts';
import { convertFileValue, convertText, convertTexts, suggestFileValue, type Converted } from './convert.ts';
import { ConfigError, type ConfigProblem } from './errors.ts';
import { didYouMean, nearestName } from './internal/nearest.ts';
import type { OptionSpec } from './option-spec.ts';
import { optionTable } from './option-table.ts';
import { asWritten, placeOf, placeText, type Origin } from './origin.ts';
import { bool, float, int, list, none, pythonText, string, type PythonValue } from './python-value.ts';
import { readTomlEntries } from './toml-file.ts';

/** The value of an option, where it comes from, and how it was written there. */
export interface ReadOption {
  readonly spec: OptionSpec;
  readonly value: PythonValue;
  readonly origin: Origin;
  /** Text as the user wrote it; the default in Python's notation. */
  readonly written: string;
}

export interface OptionsRead {
  readonly options: ReadonlyMap<string, ReadOption>;
  /** Everything wrong so far; an option with a problem keeps its default. */
  readonly problems: readonly ConfigProblem[];
  /** Path of the configuration file that was read, null without one. */
  readonly configPath: string | null;
  /** Lines to tell the user once. */
  readonly answers: readonly string[];
}

/** Gives the text of a file; the path is the one the user wrote, relative to the working folder. */
export type ReadText = (path: string) => string | Promise<string>;

/**
 * Reads the options of one command: the command line wins over the configuration file, the file over the defaults.
 *
 * @throws {ConfigError} `CONFIG_FILE_NOT_FOUND`, `CONFIG_FILE_UNREADABLE`, `TOML_SYNTAX`; all other mistakes are
 *   collected in `problems`
 */
export async function readOptions(
  command: CommandSpec,
  argv: readonly string[],
  readText: ReadText,
): Promise<OptionsRead> {
  const specs = optionsOf(command);
  const {
    arguments: found,
    problems,
    notes,
  } = parseArguments(specs, argv, (written) =>
    unknown(written.replace(/^-+/, ''), { source: 'command line' }, command),
  );
  const typed = found.findLast(({ spec }) => spec.name === 'config_file')?.texts[0];
  const configPath = typed === undefined ? null : withExtension(typed);
  const answers: string[] = [...notes];
  const options = new Map<string, ReadOption>(specs.map((spec) => [spec.name, defaultOf(spec)]));

  const file =
    configPath === null
      ? { entries: [], problems: [] }
      : readTomlEntries(await readConfig(configPath, readText), configPath);
  problems.push(...file.problems);
  for (const entry of file.entries) {
    const { origin } = entry;
    const spec = specs.find(({ name }) => name === entry.key);
    if (!spec) {
      problems.push(unknown(entry.key, origin, command));
    } else if (spec.name === 'config_file') {
      answers.push('config_file inside a configuration file is ignored: one file is read');
    } else {
      set(spec, convertFileValue(spec, entry.value), origin, entry.written, suggestFileValue(spec, entry.value));
    }
  }
  for (const { spec, texts } of found) {
    const written = texts.join(' ');
    const origin: Origin = { source: 'command line' };
    if (spec.type === 'bool') set(spec, { value: bool(true) }, origin, '');
    else if (spec.nargs === undefined) set(spec, convertText(spec, written), origin, written);
    else set(spec, convertTexts(spec, texts), origin, written);
  }
  const configOption = options.get('config_file');
  if (configOption && configPath !== null) options.set('config_file', { ...configOption, value: string(configPath) });
  return { options, problems, configPath, answers };

  function set(spec: OptionSpec, converted: Converted, origin: Origin, text: string, suggestion?: string): void {
    const written = spec.isSecret ? '…' : text;
    if ('value' in converted) {
      options.set(spec.name, { spec, value: converted.value, origin, written });
      return;
    }
    const nearest = spec.choices && nearestName(written.replace(/^["']|["']$/g, ''), spec.choices);
    const initial = defaultOf(spec).value;
    const isDefaultUseful = initial.type !== 'null' && pythonText(initial) !== '';
    problems.push({
      code: converted.expected.startsWith('one of ') ? 'BAD_CHOICE' : 'WRONG_TYPE',
      text: `${asWritten(origin, spec.name, written)}: expected ${converted.expected}.`,
      remedy:
        nearest !== undefined
          ? didYouMean(nearest).trim()
          : suggestion !== undefined
            ? `Write ${spec.name} = ${suggestion}.`
            : `Correct or remove it${isDefaultUseful ? `; the default is ${initial.type === 'bool' ? 'false' : pythonText(initial)}` : ''}.`,
      option: spec.name,
      value: written,
      ...placeOf(origin),
      ...(nearest === undefined ? {} : { nearest }),
    });
  }
}

function withExtension(path: string): string {
  return path.endsWith('.toml') ? path : `${path}.toml`;
}

async function readConfig(path: string, readText: ReadText): Promise<string> {
  try {
    return await readText(path);
  } catch (cause) {
    const isMissing = typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 'ENOENT';
    const problem: ConfigProblem = {
      code: isMissing ? 'CONFIG_FILE_NOT_FOUND' : 'CONFIG_FILE_UNREADABLE',
      text: isMissing
        ? `The configuration file ${path} does not exist.`
        : `The configuration file ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`,
      remedy:
        'Check --config_file; a relative path starts at the current folder, and .toml is added when it is missing.',
      option: 'config_file',
      value: path,
      file: path,
    };
    throw new ConfigError([problem], { cause });
  }
}

function defaultOf(spec: OptionSpec): ReadOption {
  return { spec, value: defaultValue(spec), origin: { source: 'default' }, written: '' };
}

function defaultValue({ type, default: initial }: OptionSpec): PythonValue {
  if (initial === null) return none;
  if (typeof initial === 'boolean') return bool(initial);
  if (typeof initial === 'string') return string(initial);
  if (typeof initial === 'number') return int(initial);
  if ('float' in initial) return float(initial.float);
  return list(initial.map(type === 'int' ? int : float));
}

function unknown(name: string, origin: Origin, command: CommandSpec): ConfigProblem {
  const unavailable = command.architecture === 'hv' && name === 'fp8_scaled';
  if (unavailable) {
    return {
      code: 'UNKNOWN_OPTION',
      text: `${placeText(origin)}${name} is not available for HunyuanVideo.`,
      remedy: `Remove it; ${command.task === 'generate' ? 'fp8' : 'fp8_base'} works without scales.`,
      option: name,
      ...placeOf(origin),
    };
  }
  const elsewhere = optionTable.find((spec) => spec.name === name)?.scripts?.[0];
  const names = optionsOf(command).map((spec) => spec.name);
  const nearest = elsewhere === undefined ? nearestName(name, names) : undefined;
  const dashes = origin.source === 'file' ? '' : '--';
  const section = origin.source === 'file' && origin.section !== null ? ` in [${origin.section}]` : '';
  return {
    code: 'UNKNOWN_OPTION',
    text: `${placeText(origin)}${dashes}${name}${section} is not an option of ${command.name}${elsewhere === undefined ? '' : `, but of ${elsewhere}`}.`,
    remedy:
      nearest !== undefined
        ? didYouMean(`${dashes}${nearest}`).trim()
        : origin.source === 'file'
          ? 'Remove this line, or correct the name.'
          : `musubi ${command.name} --help lists all options.`,
    option: name,
    ...placeOf(origin),
    ...(nearest === undefined ? {} : { nearest }),
  };
}
