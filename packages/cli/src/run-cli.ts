import { readFileSync } from 'node:fs';
import { findCommand, resolveCommand } from '@musubi/config';

import { processContext, type CliContext } from './context.ts';
import { commandHelp, programHelp } from './help.ts';
import { reportError, type ExitCode } from './report-error.ts';

/**
 * The command line program.
 *
 * @param argv what stands behind `musubi`
 * @returns the exit code: 0, 1 the run failed, 2 the command line or a configuration is wrong, 130 interrupted. It throws
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

async function dispatch([word, ...rest]: readonly string[], context: CliContext): Promise<ExitCode> {
  if (word === '--version' || word === '-V') {
    context.stdout.write(`${version()}\n`);
    return 0;
  }
  if (word === undefined || isHelp(word)) {
    (word === undefined ? context.stderr : context.stdout).write(programHelp(version()));
    return word === undefined ? 2 : 0;
  }
  const command = findCommand(word);
  if (command?.support.state === 'works' && rest.some(isHelp)) {
    context.stdout.write(commandHelp(command));
    return 0;
  }
  if (word === 'wandb') {
    const { wandbCommand } = await import('./wandb-command.ts');
    return await wandbCommand(rest, context);
  }
  const argv = word === 'inspect' ? collectDims(rest) : rest;
  const found = await resolveCommand({ command: word, argv, readText: context.readText });
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
      return (await import('./train-command.ts')).train(found.config, found.answers, context);
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
