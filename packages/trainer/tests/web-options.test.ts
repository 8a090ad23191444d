import type { Runtime } from '@musubi/runtime';

import { expect, test } from 'vitest';

import { runTraining } from '../src/web.ts';
import { makeConfig } from './make-config.ts';

test('training_artifacts has no effect in browsers, which is told', async () => {
  const config = await makeConfig('--training_artifacts graphs');
  const lines: string[] = [];
  const logger = (line: string) => lines.push(line);
  const run = runTraining(config, { files: new Map(), runtime: {} as Runtime, onSave: () => {}, logger });
  await expect(run).rejects.toThrow();
  expect(lines).toEqual(['training_artifacts has no effect: a page keeps no graphs.']);
});

test.each([
  ['dit_high_noise', '--task t2v-A14B --dit_high_noise high.safetensors'],
  ['base_weights', '--base_weights other.safetensors'],
])('%s is refused in browsers before anything is read', async (option, options) => {
  const config = await makeConfig(options);
  const run = runTraining(config, { files: new Map(), runtime: {} as Runtime, onSave: () => {} });
  await expect(run).rejects.toMatchObject({ code: 'OPTION_CONFLICT', message: expect.stringContaining(option) });
});
