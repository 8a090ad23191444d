import type { ConfigProblem } from './errors.ts';
import type { OptionSpec } from './option-spec.ts';

/** One option of a command line with the texts behind it; a flag has none. */
export interface Argument {
  readonly spec: OptionSpec;
  readonly texts: readonly string[];
}

/**
 * Splits a command line into options: `--name value`, `--name=value`, flags, and lists that run up to the next option.
 *
 * The rules are those of Python's argparse: a name may be shortened as long as only one option begins so, which `notes`
 * tell. A negative number, or a text with a space in it, is a value although it starts with a dash. The last one of a
 * repeated option counts. Values that stand alone go to the positional options, in the order of the table.
 *
 * @param unknownOption words the problem of an option that is not in `specs`; its values are skipped
 */
export function parseArguments(
  specs: readonly OptionSpec[],
  argv: readonly string[],
  unknownOption: (written: string) => ConfigProblem,
): { arguments: Argument[]; problems: ConfigProblem[]; notes: string[] } {
  const byName = new Map(specs.filter(({ isPositional }) => !isPositional).map((spec) => [spec.name, spec]));
  const positionals = specs.filter(({ isPositional }) => isPositional);
  const standing: string[] = [];
  const found: Argument[] = [];
  const problems: ConfigProblem[] = [];
  const notes: string[] = [];
  let position = 0;

  while (position < argv.length) {
    const token = argv[position++] ?? '';
    if (!isOption(token)) {
      standing.push(token);
      continue;
    }
    const equals = token.indexOf('=');
    const name = token.slice(2, equals < 0 ? undefined : equals);
    const attached = equals < 0 ? undefined : token.slice(equals + 1);
    const exact = token.startsWith('--') ? byName.get(name) : undefined;
    const longer = exact || !/^--./.test(token) ? [] : [...byName.keys()].filter((full) => full.startsWith(name));
    const spec = exact ?? (longer.length === 1 ? byName.get(longer[0] ?? '') : undefined);
    if (spec && !exact) notes.push(`--${name} is taken for --${spec.name}; write the whole name`);
    const texts: string[] = [];
    const most = attached === undefined ? mostValues(spec) : 0;
    while (texts.length < most && position < argv.length && !isOption(argv[position] ?? '')) {
      texts.push(argv[position++] ?? '');
    }
    if (longer.length > 1) {
      problems.push(ambiguous(name, longer));
    } else if (!spec) {
      problems.push(unknownOption(token.replace(/=.*$/s, '')));
    } else if (attached !== undefined && spec.type === 'bool') {
      problems.push({
        code: 'ARGUMENT_SYNTAX',
        text: `--${spec.name}=${attached}: ${spec.name} is a switch and takes no value.`,
        remedy: `Write --${spec.name} to switch it on, leave it out otherwise.`,
        option: spec.name,
        value: attached,
      });
    } else if (attached === undefined && texts.length === 0 && spec.type !== 'bool' && spec.nargs !== '*') {
      problems.push({
        code: 'ARGUMENT_SYNTAX',
        text: `--${spec.name} has no value.`,
        remedy: `Write --${spec.name} ${spec.name.toUpperCase()}; a value that starts with a dash as --${spec.name}=-value.`,
        option: spec.name,
      });
    } else {
      found.push({ spec, texts: attached === undefined ? texts : [attached] });
    }
  }
  for (const spec of positionals) {
    const texts = standing.splice(0, spec.nargs === undefined ? 1 : Infinity);
    if (texts.length > 0) found.push({ spec, texts });
  }
  return { arguments: found, problems: [...standing.map(standsAlone), ...problems], notes };
}

function ambiguous(name: string, longer: readonly string[]): ConfigProblem {
  return {
    code: 'ARGUMENT_SYNTAX',
    text: `--${name} could be ${longer.map((full) => `--${full}`).join(' or ')}.`,
    remedy: 'Write the whole name.',
    option: name,
  };
}

/** How many texts an option takes; those behind an unknown one are all skipped. */
function mostValues(spec: OptionSpec | undefined): number {
  if (spec === undefined) return Infinity;
  if (spec.nargs !== undefined) return typeof spec.nargs === 'number' ? spec.nargs : Infinity;
  return spec.type === 'bool' ? 0 : 1;
}

function standsAlone(token: string): ConfigProblem {
  return {
    code: 'ARGUMENT_SYNTAX',
    text: `"${token}" stands on the command line without an option.`,
    remedy: 'Options are written --name value; put quotes around a value with spaces.',
    value: token,
  };
}

function isOption(token: string): boolean {
  return /^-./.test(token) && !/^-\.?\d/.test(token) && !token.replace(/=.*$/s, '').includes(' ');
}
