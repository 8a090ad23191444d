import type { CommandSpec } from './commands.ts';
import type { ConfigProblem } from './errors.ts';
import { optionValues } from './option-values.ts';
import { plainDefault } from './option-spec.ts';
import { asWritten } from './origin.ts';
import { toPlain } from './python-value.ts';
import type { OptionsRead, ReadOption } from './read-options.ts';
import { optionRules, type RuleValues } from './rules.ts';

/** What the options of a command say together: everything wrong, and lines about what is only without effect. */
export interface RuleFindings {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly string[];
}

/** Checks required options, those that exclude each other, those that need others, and {@link optionRules}. */
export function checkRules(command: CommandSpec, { options }: OptionsRead): RuleFindings {
  const { problems, problem } = optionValues(options);
  const warnings: string[] = [];
  const values: RuleValues = {
    command,
    get: (name) => {
      const found = options.get(name);
      return found && toPlain(found.value);
    },
    isSet: (name) => {
      const found = options.get(name);
      return found !== undefined && isChanged(found);
    },
  };

  for (const { option, task, architecture, severity, isBroken, reason, remedy } of optionRules) {
    if (!options.has(option) || (task ?? command.task) !== command.task) continue;
    if (architecture !== undefined && architecture !== command.architecture) continue;
    if (!isBroken(values)) continue;
    const words = typeof reason === 'string' ? reason : reason(values);
    if (severity === 'warning') warnings.push(`${shown(option)}: ${words} ${remedy}`);
    else problem(words === 'is missing.' ? 'MISSING_OPTION' : 'BAD_COMBINATION', option, words, remedy);
  }
  for (const { spec } of options.values()) {
    if (spec.isRequired && !values.isSet(spec.name)) {
      problem('MISSING_OPTION', spec.name, 'is missing.', `Add --${spec.name}${spec.type === 'bool' ? '' : ' VALUE'}.`);
    }
    if (!values.isSet(spec.name)) continue;
    const opposed = spec.conflictsWith?.find((name) => values.isSet(name));
    // Both options of a pair may name each other; one message is enough.
    if (opposed !== undefined && !problems.some(({ option }) => option === opposed)) {
      const remedy = `Remove ${spec.name}, or ${opposed}.`;
      problem('BAD_COMBINATION', spec.name, `it cannot be combined with ${opposed}.`, remedy);
    }
    const lacking = spec.dependsOn?.find((need) => ![need].flat().some((name) => values.isSet(name)));
    if (lacking !== undefined && spec.support.state === 'works') {
      warnings.push(`${shown(spec.name)}: it has no effect without ${[lacking].flat().join(' or ')}.`);
    }
  }
  return { problems, warnings };

  function shown(name: string): string {
    const found = options.get(name);
    if (found === undefined || found.origin.source === 'default') return name;
    return asWritten(found.origin, name, found.written);
  }
}

/** An option that has a value other than its default, and not an empty list. */
export function isChanged({ spec, value }: Pick<ReadOption, 'spec' | 'value'>): boolean {
  const plain = toPlain(value);
  const initial = plainDefault(spec.default);
  if (Array.isArray(plain) && Array.isArray(initial)) return plain.join() !== initial.join();
  return plain !== initial && !(Array.isArray(plain) && plain.length === 0);
}
