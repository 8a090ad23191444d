import type { TrainConfig } from '@musubi/config';
import type { Architecture } from '@musubi/models';

import { resolve } from 'node:path';

import { resolveWeights } from '@musubi/models';
import { openCheckpointFile } from '@musubi/safetensors/node';

import type { BaseModel, Closing } from './open-parts.ts';

import { TrainerError } from '../errors.ts';
import { withFile } from './with-file.ts';

/**
 * The second base model, `--dit_high_noise`: its headers are read, its weights stay in their files. What is stated of the
 * first holds for both.
 *
 * @returns null when the run has one model
 * @throws {TrainerError} `FILE_UNUSABLE`, also when its shapes are not those of the first
 */
export async function openHighNoiseModel<Config extends object>(
  { dit, ditHighNoise, task }: TrainConfig,
  architecture: Architecture<Config>,
  low: BaseModel<Config>,
  closing: Closing,
): Promise<BaseModel<Config> | null> {
  if (ditHighNoise === null) return null;
  return withFile('dit_high_noise', ditHighNoise, async () => {
    const checkpoint = await openCheckpointFile(ditHighNoise);
    closing.push(() => checkpoint.close());
    const high = resolveWeights(checkpoint, architecture, { task, modelConfig: low.stated });
    const [expected, found] = [Object.entries(low.config), new Map<string, unknown>(Object.entries(high.config))];
    const differing = expected.filter(([key, value]) => found.get(key) !== value);
    if (differing.length === 0) return { ...high, stated: low.stated, checkpoint };
    const list = differing.map(([key, value]) => `${key} ${String(found.get(key))} instead of ${String(value)}`);
    throw new TrainerError(
      'FILE_UNUSABLE',
      `its model has ${list.join(', ')} as in dit = "${dit}", but one adapter has to fit both.`,
      'Give the two transformers of the same release.',
      { option: 'dit_high_noise', file: resolve(ditHighNoise) },
    );
  });
}
