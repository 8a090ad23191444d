import type { ConfigProblem } from './errors.ts';
import { ConfigError } from './errors.ts';
import { didYouMean, nearestName } from './internal/nearest.ts';

/** A command line as it was typed for the original, brought to ours. */
export interface LaunchLine {
  /** The command: a script by its path, or what stood first. */
  readonly command: string | undefined;
  readonly argv: readonly string[];
  /** Lines to tell the user once. */
  readonly notes: readonly string[];
}

/**
 * Takes what starts a script off a command line that was written for the original:
 *
 *     accelerate launch --num_cpu_threads_per_process 1 --mixed_precision bf16 src/musubi_tuner/wan_train_network.py --dit …
 *     uv run --extra cu128 python -m musubi_tuner.wan_train_network --dit …
 *
 * `--mixed_precision` of the launcher is the script's, unless the script has its own. Backslashes and carets that
 * continued a line are left out wherever they stand alone, and so is `musubi` or `run --`.
 *
 * @throws {ConfigError} `ARGUMENT_SYNTAX` for options of the launcher that ask for more than one process or are not known
 */
export function readLaunchLine(written: readonly string[]): LaunchLine {
  const words = withoutContinuations(written);
  const notes: string[] = [];
  let rest = dropPrograms(words);
  if (rest === words) return { command: words[0], argv: words.slice(1), notes };

  const launcher = rest[0] === 'accelerate' && rest[1] === 'launch';
  if (!launcher) return scriptLine(rest, notes);
  const found = readLauncherOptions(rest.slice(2));
  rest = found.rest;
  const line = scriptLine(rest, [...notes, ...found.notes]);
  const hasOwn = line.argv.some((token) => /^--mixed_precision(?:=|$)/.test(token));
  const added = found.mixedPrecision !== null && !hasOwn ? ['--mixed_precision', found.mixedPrecision] : [];
  return { ...line, argv: [...added, ...line.argv] };
}

/** A shell leaves these out itself; behind a paste into another shell they are words of their own. */
function withoutContinuations(words: readonly string[]): readonly string[] {
  return words
    .filter((word) => !/^[\\^`\r\n]+$/.test(word))
    .map((word) => word.replace(/^(?:[\\^`]?\r?\n)+|(?:[\\^`]?\r?\n)+$/g, ''));
}

/** `uv run --extra cu128 accelerate launch …` → `accelerate launch …`; the same array where nothing of that stands first. */
function dropPrograms(words: readonly string[]): readonly string[] {
  const name = programName(words[0]);
  if (name === 'musubi' || name === 'npx') {
    const at = words.findIndex((word, index) => index > 0 && !/^@?musubi(?:\/cli)?$|^-/.test(word));
    return dropPrograms(at < 0 ? [] : words.slice(at));
  }
  if (name === 'uv' && words[1] === 'run') {
    const at = words.findIndex((word, index) => index > 1 && isStart(word));
    return at < 0 ? words : dropPrograms(words.slice(at));
  }
  if (name === 'accelerate') return ['accelerate', ...words.slice(1)];
  if (name !== undefined && /^(?:python(?:3(?:\.\d+)?)?|py)$/.test(name)) {
    const options = words.findIndex((word, index) => index > 0 && !/^-(?:u|O|B|3(?:\.\d+)?|X|W)$/.test(word));
    const behind = options < 0 ? [] : words.slice(options);
    if (behind[0] !== '-m') return behind;
    const module = behind[1] ?? '';
    if (module === 'accelerate.commands.launch') return ['accelerate', 'launch', ...behind.slice(2)];
    return [`${module.replace(/^.*\./, '')}.py`, ...behind.slice(2)];
  }
  return words;
}

function programName(word: string | undefined): string | undefined {
  return word?.replace(/^.*[\\/]/, '').replace(/\.exe$/i, '');
}

function isStart(word: string): boolean {
  return /^(?:accelerate|python[\d.]*|py)$/.test(programName(word) ?? '') || /\.py$/i.test(word);
}

function scriptLine(words: readonly string[], notes: readonly string[]): LaunchLine {
  return { command: words[0], argv: words.slice(1), notes };
}

type LauncherOption = 'value' | 'flag';

/** Options of accelerate that concern processes, threads and devices; a script here is one process on this machine. */
const launcherOptions: Readonly<Record<string, LauncherOption>> = {
  config_file: 'value',
  cpu: 'flag',
  debug: 'flag',
  downcast_bf16: 'flag',
  dynamo_backend: 'value',
  dynamo_mode: 'value',
  dynamo_use_dynamic: 'flag',
  dynamo_use_fullgraph: 'flag',
  enable_cpu_affinity: 'flag',
  gpu_ids: 'value',
  gradient_accumulation_steps: 'value',
  machine_rank: 'value',
  main_process_ip: 'value',
  main_process_port: 'value',
  main_training_function: 'value',
  mixed_precision: 'value',
  module: 'flag',
  mps: 'flag',
  multi_gpu: 'flag',
  num_cpu_threads_per_process: 'value',
  num_machines: 'value',
  num_processes: 'value',
  quiet: 'flag',
  rdzv_backend: 'value',
  same_network: 'flag',
};

/** What is said of an option, null for nothing. Its value is that of the command line. */
const answers: Readonly<Record<string, (value: string) => string | null>> = {
  config_file: (value) => `the file ${value} of accelerate is not read; this release trains in one process`,
  gpu_ids: () => 'the device is chosen by the execution provider',
  num_cpu_threads_per_process: (value) =>
    value === '1' ? null : 'ONNX Runtime takes as many threads as there are processors',
  dynamo_backend: (value) => (value.toLowerCase() === 'no' ? null : 'give dynamo_backend behind the script instead'),
  multi_gpu: () => 'this release trains in one process',
};

function readLauncherOptions(words: readonly string[]) {
  const notes: string[] = [];
  const problems: ConfigProblem[] = [];
  let mixedPrecision: string | null = null;
  let isModule = false;
  let position = 0;
  while (position < words.length) {
    const word = words[position] ?? '';
    if (word === '-m') {
      isModule = true;
      position++;
      continue;
    }
    if (!word.startsWith('--')) break;
    position++;
    const [written = '', ...attached] = word.slice(2).split('=');
    const name = written.replaceAll('-', '_');
    const kind = launcherOptions[name];
    if (kind === undefined) {
      const nearest = nearestName(name, Object.keys(launcherOptions));
      problems.push(
        problem('UNKNOWN_OPTION', written, `--${written} is not an option of accelerate that is known here.`, [
          didYouMean(nearest && `--${nearest}`),
          'Remove it; options of the script stand behind its name.',
        ]),
      );
      if (attached.length === 0 && !/^--|\.py$/i.test(words[position] ?? '--')) position++;
      continue;
    }
    const value = kind === 'flag' ? '' : attached.length > 0 ? attached.join('=') : (words[position++] ?? '');
    if (name === 'module') isModule = true;
    if (name === 'mixed_precision') mixedPrecision = value;
    if ((name === 'num_processes' || name === 'num_machines') && value !== '1') {
      problems.push(
        problem('NOT_IN_THIS_RELEASE', name, `--${name} ${value}: this release trains in one process.`, [
          `Write --${name} 1, or remove it.`,
        ]),
      );
    }
    const answer = answers[name]?.(value);
    if (answer) notes.push(`${name}: ${answer}`);
  }
  const [first, ...more] = problems;
  if (first) throw new ConfigError([first, ...more]);
  const [script, ...behind] = words.slice(position);
  const rest = script === undefined ? [] : [isModule ? `${script.replace(/^.*\./, '')}.py` : script, ...behind];
  return { rest, notes, mixedPrecision };
}

function problem(code: ConfigProblem['code'], option: string, text: string, remedy: readonly string[]): ConfigProblem {
  return { code, text, remedy: remedy.join('').trim(), option };
}
