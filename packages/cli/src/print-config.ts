import { graphOptimizationTable, resolvedToml, type ResolvedCommand } from '@musubi/config';

/**
 * `--print_config`: every option with its value and where that comes from, as a TOML file that can be used again, and in
 * comments what is done in place of options that mean something else here.
 */
export function printedConfig({ command, options, answers }: ResolvedCommand): string {
  return [
    resolvedToml(command, options, { origins: true }),
    ...(answers.length === 0 ? [] : ['# What is done here:', ...answers.map((answer) => `#   ${answer}`), '']),
    ...(options.has('dynamo_backend')
      ? [
          '# Options about compiling:',
          ...graphOptimizationTable.map(([name, value, meaning]) => `#   ${name} = ${value}: ${meaning}`),
          '',
        ]
      : []),
  ].join('\n');
}
