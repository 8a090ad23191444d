import type { OptionGroup, OptionSpec, OptionSupport } from '../option-spec.ts';

type Details = Partial<Omit<OptionSpec, 'name' | 'type' | 'scripts' | 'help'>>;
type Entry = (name: string, scripts: readonly string[], help: string, details?: Details) => OptionSpec;

/** Short ways to write entries of a table whose options have a group and a support in common. */
export function shortForms(group: OptionGroup, support: OptionSupport) {
  const entry =
    (type: OptionSpec['type'], initial: OptionSpec['default']): Entry =>
    (name, scripts, help, details) => ({ name, type, default: initial, scripts, group, help, support, ...details });
  return {
    text: entry('string', null),
    flag: entry('bool', false),
    whole: entry('int', null),
    number: entry('float', null),
  };
}

/** The same options under other scripts, where they mean the same. */
export function alsoFor(
  table: readonly OptionSpec[],
  names: readonly string[],
  scripts: readonly string[],
  details: Partial<OptionSpec> = {},
): OptionSpec[] {
  return names.map((name) => {
    const spec = table.find((candidate) => candidate.name === name);
    if (!spec) throw new Error(`internal: ${name} is in no table`);
    return { ...spec, scripts, ...details };
  });
}
