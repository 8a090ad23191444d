export type { CliContext } from './context.ts';
export { CliError } from './errors.ts';
export { commandHelp, programHelp } from './help.ts';
export type { ExitCode } from './exit-code.ts';
export { runCli } from './run-cli.ts';
export type { Trainer, TrainEvent, TrainHooks, TrainOutcome, TrainStep } from './trainer.ts';
