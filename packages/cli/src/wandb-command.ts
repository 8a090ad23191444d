import { findWandbSpools, syncWandbSpool } from '@musubi/tracking/node';

import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import type { ExitCode } from './exit-code.ts';
import { wandbClient } from './run-trackers.ts';

/**
 * `musubi wandb sync [PATH …]`: sends what runs left in files. A run that fails does not keep the next from being sent.
 *
 * @returns 0 when wandb has all of it, else 1
 */
export async function wandbCommand(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  const [word, ...paths] = argv;
  if (argv.some((token) => token === '--help' || token === '-h')) {
    context.stdout.write(help);
    return 0;
  }
  const option = argv.find((token) => token.startsWith('-'));
  if (word !== 'sync' || option !== undefined) {
    const found = option === undefined ? `"wandb ${word ?? ''}" is not a command.` : `wandb sync has no ${option}.`;
    throw new CliError('USAGE', found, 'Write musubi wandb sync PATH.');
  }
  const client = wandbClient(null, context.environment, undefined, (line) => context.stderr.write(`${line}\n`));
  if (!client) throw new CliError('USAGE', 'There is no key for wandb.', 'Set WANDB_API_KEY in the environment.');

  const spools = (await Promise.all((paths.length > 0 ? paths : ['.']).map(findWandbSpools))).flat();
  let exitCode: ExitCode = 0;
  for (const spool of new Set(spools)) {
    try {
      const { page, sentRows, isComplete } = await syncWandbSpool(spool, client);
      const rest = isComplete ? '' : '; the run has not ended, or not orderly';
      context.stdout.write(`${spool}: ${sentRows} rows sent, ${page}${rest}\n`);
    } catch (error) {
      context.stderr.write(`${spool}: ${error instanceof Error ? error.message : String(error)}\n`);
      exitCode = 1;
    }
  }
  return exitCode;
}

const help = `Usage: musubi wandb sync [PATH …]

Sends runs to wandb that it does not have all of. PATH is a file that a run left in its wandb folder, or a folder with such
files anywhere below; without one it is the current folder. Nothing is sent twice.

Environment
  WANDB_API_KEY                   Key, needed.
  WANDB_BASE_URL                  Address of a server of your own.
`;
