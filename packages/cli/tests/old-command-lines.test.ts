import { expect, test } from 'vitest';

import { ConfigError, findCommand, readLaunchLine, resolveCommand, splitCommandLine } from '@musubi/config';

import { oldCommandLines as lines } from './old-command-lines.ts';

const config =
  'task = "t2v-1.3B"\ndit = "m.safetensors"\ndataset_config = "d.toml"\noptimizer_type = "AdamW"\nnetwork_module = "networks.lora_wan"\noutput_dir = "out"\noutput_name = "a"\n';

test('there are 25', () => {
  expect(lines).toHaveLength(25);
});

test.each(lines)('%s', async (line) => {
  const { command = '', argv } = readLaunchLine(splitCommandLine(line));
  const isBuilt = findCommand(command)?.support.state === 'works';
  const found: unknown = await resolveCommand({ command, argv, readText: () => config }).catch((e: unknown) => e);
  if (isBuilt) return expect(found).toMatchObject({ problems: [] });
  expect(found).toBeInstanceOf(ConfigError);
  expect((found as ConfigError).problems.map(({ code }) => code)).toEqual(['NOT_IN_THIS_RELEASE']);
});

test('words keep what a shell gives them', async () => {
  const line = lines.find((candidate) => candidate.includes('exclude_patterns')) ?? '';
  const { command = '', argv } = readLaunchLine(splitCommandLine(line));
  const found = await resolveCommand({ command, argv, readText: () => config });
  expect(found.config).toMatchObject({
    excludePatterns: ['.*single_blocks.*', String.raw`.*double_blocks\.[0-9]\..*`],
  });
});
