import { readFileSync } from 'node:fs';
import { findCommand, readLaunchLine, resolveCommand, splitCommandLine } from '@musubi/config';

import { processContext, type CliContext } from './context.ts';
import { commandHelp, programHelp } from './help.ts';
import type { ExitCode } from './exit-code.ts';
import { reportError } from './report-error.ts';

/**
 * The command line program.
 *
 * @param argv what stands behind `musubi`
 * @returns the exit code: 0, 1 the run failed, 2 what was given is wrong, 130 interrupted. It throws
 *   nothing; errors are printed
 */
export async function runCli(argv: readonly string[], context: CliContext = processContext()): Promise<ExitCode> {
  try {
    return await dispatch(argv, context);
  } catch (error) {
    const { text, exitCode } = reportError(error, context.environment);
    context.stderr.write(text);
    return exitCode;
  }
}

async function dispatch(written: readonly string[], context: CliContext): Promise<ExitCode> {
  const { command: word, argv: rest, notes } = readLaunchLine(pasted(written));
  if (word === '--version' || word === '-V') {
    context.stdout.write(`${version()}\n`);
    return 0;
  }
  if (word === undefined || isHelp(word)) {
    (word === undefined ? context.stderr : context.stdout).write(programHelp(version()));
    return word === undefined ? 2 : 0;
  }
  const command = findCommand(word);
  if (command !== undefined && !command.isNameOnly && rest.some(isHelp)) {
    context.stdout.write(commandHelp(command, rest.includes('--all')));
    return 0;
  }
  switch (word) {
    case 'completion':
      context.stdout.write((await import('./completion.ts')).completionScript(rest[0] ?? ''));
      return 0;
    case 'wandb':
      return (await import('./wandb-command.ts')).wandbCommand(rest, context);
    case 'doctor':
      return (await import('./doctor-command.ts')).doctorCommand(rest, context);
    case 'init':
      return (await import('./init-command.ts')).initCommand(rest, context);
    case 'validate':
      return (await import('./validate-command.ts')).validateCommand(rest, context);
  }
  const options = (word === 'inspect' ? collectDims(rest) : rest).filter((token) => token !== printConfig);
  const resolved = await resolveCommand({ command: word, argv: options, readText: context.readText });
  const found = { ...resolved, answers: [...notes, ...resolved.answers] };
  if (rest.includes(printConfig)) {
    context.stdout.write((await import('./print-config.ts')).printedConfig(found));
    return 0;
  }
  switch (found.task) {
    case 'train':
      if (found.config.showTimesteps !== null) {
        await (await import('./show-timesteps.ts')).showTimesteps(found.config, context);
        return 0;
      }
      if (found.config.showLrSchedule !== null) {
        await (await import('./show-lr-schedule.ts')).showLrSchedule(found.config, context);
        return 0;
      }
      return (await import('./train-command.ts')).train(found, context);
    case 'cache latents':
    case 'cache text':
      return (await import('./cache-command.ts')).makeCaches(found, context);
    case 'estimate':
      return (await import('./estimate-command.ts')).estimate(found, context);
    case 'inspect':
      return (await import('./inspect-command.ts')).inspect(found.config, context);
    case 'quantize':
      return (await import('./quantize-command.ts')).quantize(found.config, context);
  }
  for (const answer of found.answers) context.stderr.write(`note: ${answer}\n`);
  const lora = await import('./lora-commands.ts');
  switch (found.task) {
    case 'average loras':
      return lora.averageLoras(found.config, context);
    case 'merge loras':
      return lora.mergeLoras(found.config, context);
    case 'convert lora':
      return lora.convertLora(found.config, context);
  }
}

/** `musubi run -- accelerate launch …`: a command line of the original, as words or as one text in quotes. */
function pasted(written: readonly string[]): readonly string[] {
  if (written[0] !== 'run') return written;
  const words = written.slice(written[1] === '--' ? 2 : 1);
  const [only = ''] = words;
  return words.length === 1 && /\s/.test(only) ? splitCommandLine(only) : words;
}

/** A switch of every command. */
const printConfig = '--print_config';

/** `--dim B=1 --dim S=2048` as `--dim B=1 S=2048`. */
function collectDims(argv: readonly string[]): string[] {
  const rest: string[] = [];
  const dims: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const token = argv[i] ?? '';
    if (token.startsWith('--dim=')) dims.push(token.slice('--dim='.length));
    else if (token !== '--dim') rest.push(token);
    else {
      dims.push(argv[++i] ?? '');
      while (/^\w+=/.test(argv[i + 1] ?? '')) dims.push(argv[++i] ?? '');
    }
  }
  return dims.length > 0 ? [...rest, '--dim', ...dims] : rest;
}

function isHelp(token: string | undefined): boolean {
  return token === '--help' || token === '-h';
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '';
}
