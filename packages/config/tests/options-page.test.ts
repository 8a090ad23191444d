import { expect, test } from 'vitest';

import { commandTable, optionGroups, optionsOf, plainDefault, type OptionSpec } from '../src/index.ts';

/** The reference of all options; `pnpm vitest run packages/config/tests/options-page.test.ts -u` writes it anew. */
function optionsPage(): string {
  const commands = commandTable.filter(({ isNameOnly }) => !isNameOnly);
  return [
    '# Options',
    '',
    'Made from the option table of `@musubi/config`. Behind a command its script of the original, which is another name of it.',
    '',
    ...commands.flatMap((command) => [
      `## ${command.name}`,
      '',
      `\`${command.script}\`. ${command.help}${command.support.state === 'refused' ? ` Not in this release: options are checked, then ${command.support.reason}.` : ''}`,
      '',
      ...Object.entries(optionGroups).flatMap(([group, title]) => {
        const options = optionsOf(command).filter((option) => option.group === group);
        if (options.length === 0) return [];
        return [
          `### ${title}`,
          '',
          '| Option | Type | Default | |',
          '| --- | --- | --- | --- |',
          ...options.map(row),
          '',
        ];
      }),
    ]),
  ].join('\n');
}

function row(option: OptionSpec): string {
  const { name, type, nargs, choices, help, support, dependsOn, conflictsWith } = option;
  const initial = plainDefault(option.default);
  const kind = `${choices ? choices.join(', ') : type}${nargs === undefined ? '' : typeof nargs === 'number' ? `, ${nargs} of them` : ', a list'}`;
  const notes = [
    help,
    ...(option.isRequired ? ['Required.'] : []),
    ...(dependsOn ? [`Needs ${dependsOn.map((need) => [need].flat().join(' or ')).join(', ')}.`] : []),
    ...(conflictsWith ? [`Not with ${conflictsWith.join(', ')}.`] : []),
    ...(support.state === 'accepted' ? [`Accepted: ${support.answer}.`] : []),
    ...(support.state === 'refused' ? [`Refused: ${support.reason}.`] : []),
  ];
  const shown = initial === null || initial === false || initial === '' ? '' : String(initial);
  return `| \`${name}\` | ${kind} | ${shown} | ${notes.join(' ').replaceAll('|', '\\|')} |`;
}

test('docs/options.md is what the table says', async () => {
  await expect(optionsPage()).toMatchFileSnapshot('../../../docs/options.md');
});
