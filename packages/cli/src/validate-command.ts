import {
  ConfigError,
  examineCommand,
  findCommand,
  type ConfigProblem,
  type Origin,
  type ResolvedCommand,
} from '@musubi/config';
import { checkCacheLatents, checkCacheTexts, checkTraining, findingsOf, type Finding } from '@musubi/trainer/node';

import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import type { ExitCode } from './exit-code.ts';
import { countFindings, isGood, printFindings, type FindingsReport } from './report-findings.ts';

/**
 * `musubi validate [COMMAND] [OPTIONS]`: the checks with which a run begins, all of them.
 *
 * @returns 2 when there is an error, else 0
 */
export async function validateCommand(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  const [first = '', ...rest] = argv;
  const isNamed = first !== '' && !first.startsWith('-');
  const given = isNamed ? rest : argv;
  if (given.includes('--help') || given.includes('-h')) {
    context.stdout.write(help);
    return 0;
  }
  const options = given.filter((token) => token !== '--json');
  const command = isNamed ? first : commandFor(options);
  const findings = await validate(command, options, context);

  const ok = isGood(findings);
  if (given.includes('--json')) {
    const report: FindingsReport & { readonly command: string } = {
      ok,
      command: findCommand(command)?.name ?? command,
      findings,
    };
    context.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  } else {
    printFindings(findings, context);
    context.stdout.write(findings.length === 0 ? 'Nothing is wrong.\n' : `${countFindings(findings)}.\n`);
  }
  return ok ? 0 : 2;
}

/** What options alone are for: text caches have no `--vae`, and neither of both has `--dit` or a configuration file. */
function commandFor(options: readonly string[]): string {
  const has = (name: string) => options.some((token) => token === `--${name}` || token.startsWith(`--${name}=`));
  if (has('config_file') || has('dit')) return 'train';
  if (has('vae')) return 'wan_cache_latents';
  return has('t5') ? 'wan_cache_text_encoder_outputs' : 'train';
}

async function validate(command: string, argv: readonly string[], { readText }: CliContext): Promise<Finding[]> {
  let found: ResolvedCommand;
  try {
    found = await examineCommand({ command, argv, readText });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return findingsOf(error);
  }
  const files = (await checkFiles(found)).map((finding) => inConfiguration(finding, found.origins));
  return [...found.problems.flatMap(ofProblem), ...files];
}

function checkFiles(found: ResolvedCommand): Promise<readonly Finding[]> {
  switch (found.task) {
    case 'train':
      return checkTraining(found.config);
    case 'cache latents':
      return checkCacheLatents(found.config);
    case 'cache text':
      return checkCacheTexts(found.config);
    default:
      throw new CliError(
        'USAGE',
        `validate does not know ${found.command.name}.`,
        'It is for train, cache_latents and cache_text_encoder_outputs.',
      );
  }
}

const ofProblem = (problem: ConfigProblem): Finding[] => findingsOf(new ConfigError([problem]));

/** Names the line of the configuration file that an option stands in: there it is to be mended. */
function inConfiguration(finding: Finding, origins: ReadonlyMap<string, Origin>): Finding {
  const { option, line } = finding.where;
  const origin = option === null ? undefined : origins.get(option);
  if (line !== null || origin?.source !== 'file') return finding;
  return { ...finding, where: { option, file: origin.file, line: origin.line } };
}

const help = `Usage: musubi validate [train | cache_latents | cache_text_encoder_outputs] [OPTIONS]

Does what a run does before it computes, and lists all that is wrong at once: the options and their file, the dataset
configuration, pictures and captions, the headers of checkpoints, adapters and caches, the folders to write to. No weights
are read and nothing is changed. Without a command the options tell: --config_file and --dit are of train, --vae of
cache_latents, --t5 of cache_text_encoder_outputs.

  musubi validate --config_file config.toml
  musubi validate cache_latents --architecture wan --dataset_config dataset.toml --vae Wan2.1_VAE.pth

Options
  --json                          Print {"ok", "command", "findings"}; each finding has "severity" (error or warning), "code",
                                  "where" ("option", "file", "line"), "message" and "remedy".
  …                               All options of the command: musubi COMMAND --help lists them.

The exit code is 2 when there is an error, else 0.
`;
