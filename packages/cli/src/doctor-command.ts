import { engineVersion } from '@musubi/runtime/node';

import type { CliContext } from './context.ts';
import { type DoctorReport, type MachineFacts, examineMachine, inGigabytes } from './doctor/examine.ts';
import { type Machine, thisMachine } from './doctor/machine.ts';
import { cudaPair, fetchWithNpm, librariesOf, placeCuda, removeCuda } from './doctor/fix-cuda.ts';
import { remedies } from './doctor/remedies.ts';
import { CliError } from './errors.ts';
import type { ExitCode } from './exit-code.ts';
import { countFindings, printFindings } from './report-findings.ts';

/**
 * `musubi doctor`: what training needs of this machine, and what to do about what it lacks.
 *
 * @returns 0 when training on the CPU works, else 1
 */
export async function doctorCommand(
  argv: readonly string[],
  context: CliContext,
  machine: Machine = thisMachine(),
): Promise<ExitCode> {
  if (argv.includes('--help') || argv.includes('-h')) {
    context.stdout.write(help);
    return 0;
  }
  if (argv.includes('--fix') || argv.includes('--undo')) return fixCommand(argv, context, machine);
  refuseUnknown(argv);
  const report = await examineMachine(machine);
  if (argv.includes('--json')) context.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else printReport(report, context);
  return report.ok ? 0 : 1;
}

/** `--fix cuda` says what it would do, and does it with `--yes`; `--undo cuda` takes it back. */
async function fixCommand(argv: readonly string[], { stdout }: CliContext, machine: Machine): Promise<ExitCode> {
  const [action, what, ...more] = argv;
  const isConfirmed = more.length === 1 && more[0] === '--yes';
  if ((action !== '--fix' && action !== '--undo') || what !== 'cuda' || (more.length > 0 && !isConfirmed)) {
    throw new CliError('USAGE', 'Nothing else can be mended.', 'musubi doctor --fix cuda [--yes], or --undo cuda');
  }
  if (machine.platform !== 'linux' || machine.arch !== 'x64') {
    throw new CliError('USAGE', 'There is a CUDA provider for Node.js on Linux x64 alone.', 'Use --device webgpu.');
  }
  const { path } = machine.findEngine();
  const folder = librariesOf(path);
  if (action === '--undo') {
    await removeCuda(folder);
    stdout.write(`${folder} is as it was.\n`);
    return 0;
  }
  stdout.write(
    `npm downloads ${cudaPair.runtime} and ${cudaPair.provider} (290 MB), for CUDA ${cudaPair.cuda}.\n` +
      `Their libraries replace those in ${folder}: no package on npm has the provider\n` +
      `for the version that musubi is tested with (${engineVersion}), and both parts must be of one version.\n` +
      `The old ones are kept; musubi doctor --undo cuda brings them back. Nobody has run this pair on a card for musubi yet.\n`,
  );
  if (!isConfirmed) {
    stdout.write('To do it: musubi doctor --fix cuda --yes\n');
    return 0;
  }
  await placeCuda(folder, {
    fetchPackage: fetchWithNpm,
    whyUnusable: async () => {
      const { state, reason } = await machine.probeProvider('cpu', path);
      return state === 'works' ? null : (reason ?? state);
    },
  });
  stdout.write('Done. musubi doctor says which libraries of CUDA are missing.\n');
  return 0;
}

function refuseUnknown(argv: readonly string[]): void {
  const [unknown] = argv.filter((token) => token !== '--json');
  if (unknown === undefined) return;
  throw new CliError('USAGE', `doctor has no ${unknown}.`, 'musubi doctor --help lists what it has.');
}

function printReport({ ok, facts, findings }: DoctorReport, context: CliContext): void {
  for (const [what, text] of rows(facts)) context.stdout.write(`${what.padEnd(14)} ${text}\n`);
  context.stdout.write('\n');
  printFindings(findings, context);
  const count = findings.length === 0 ? '' : ` ${countFindings(findings)}.`;
  context.stdout.write(`${ok ? 'Training on the CPU works.' : 'Training does not work here yet.'}${count}\n`);
}

function rows(facts: MachineFacts): (readonly [string, string])[] {
  const { node, system, processor, memory, folder, runtime, providers, gpus, cuda, vulkan } = facts;
  const libc = system.glibc === null ? '' : `, glibc ${system.glibc}`;
  const allowed = processor.allowed < processor.count ? `, ${processor.allowed} of them for this process` : '';
  const limit = memory.limitBytes === null ? '' : `, limited to ${inGigabytes(memory.limitBytes)}`;
  return [
    ['Node.js', node],
    ['System', `${system.platform} ${system.arch} ${system.release}${libc}`],
    ['Processor', `${processor.name || 'unknown'}, ${processor.count} cores${allowed}`],
    ['Memory', `${inGigabytes(memory.bytes)}, ${inGigabytes(memory.freeBytes)} free${limit}`],
    ['Working folder', `${folder.path}${folder.freeBytes === null ? '' : `, ${inGigabytes(folder.freeBytes)} free`}`],
    ['ONNX Runtime', runtime === null ? 'not installed' : describeRuntime(runtime)],
    ...providers.map(
      ({ provider, state, reason }) =>
        [`  ${provider}`, state === 'works' ? 'works' : `cannot be used: ${reason}`] as const,
    ),
    [
      'GPU',
      gpus.length === 0
        ? 'none found'
        : gpus
            .map(({ name, memoryMiB }) => (memoryMiB === null ? name : `${name}, ${inGigabytes(memoryMiB * 2 ** 20)}`))
            .join('; '),
    ],
    ...(cuda?.driver
      ? [['Driver', `${cuda.driver}${cuda.driverCuda ? `, up to CUDA ${cuda.driverCuda}` : ''}`] as const]
      : []),
    ...(cuda?.driver
      ? Object.entries(cuda.libraries).map(([library, path]) => [`  ${library}`, path ?? 'not found'] as const)
      : []),
    ...(system.platform === 'linux' ? [['Vulkan', vulkan ?? 'no libvulkan.so.1'] as const] : []),
  ];
}

/** A library of another version than the package comes from `--fix cuda`, and is what computes. */
function describeRuntime({ path, version, libraryVersion }: NonNullable<MachineFacts['runtime']>): string {
  const text = `${version ?? 'unknown version'} in ${path}`;
  if (libraryVersion === null || libraryVersion === version) return text;
  const whose = libraryVersion === versionOf(cudaPair.runtime) ? ', of musubi doctor --fix cuda' : '';
  return `library ${libraryVersion}${whose}, in the package of ${text}`;
}

const versionOf = (spec: string): string => spec.split('@').at(-1) ?? '';

const help = `Usage: musubi doctor [--json | --fix cuda [--yes] | --undo cuda]

Looks at Node.js, the processor, memory and disk that this process may use, ONNX Runtime and its execution providers (each
runs a small model in a process of its own), NVIDIA's graphics processors with driver, CUDA and cuDNN, and Vulkan, and says
what to do about what is missing.

Options
  --json                          Print {"ok", "facts", "findings"}; each finding has "severity" (error or warning), "code",
                                  "where" ("option", "file", "line"), "message", "remedy" and "fix".

  --fix cuda                      Say how CUDA's provider is placed beside the runtime; with --yes, place it.
  --undo cuda                     Bring the runtime's own libraries back.

The exit code is 0 when training on the CPU works, else 1. Codes of findings:
${Object.keys(remedies)
  .map((code) => `  ${code}\n`)
  .join('')}`;
