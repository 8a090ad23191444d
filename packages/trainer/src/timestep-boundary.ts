import type { TrainConfig } from '@musubi/config';
import type { Architecture } from '@musubi/models';

import { TrainerError } from './errors.ts';

/**
 * Where the transformers for high and for low noise change over: `--timestep_boundary`, or what `--task` was published with.
 *
 * @returns a share of 1000 timesteps or, above 1, a timestep; null for a run of one transformer
 * @throws {TrainerError} `OPTION_CONFLICT` when there are two and nothing says where
 */
export function resolveTimestepBoundary<Config>(
  { ditHighNoise, timestepBoundary, task }: Pick<TrainConfig, 'ditHighNoise' | 'timestepBoundary' | 'task'>,
  { tasks }: Pick<Architecture<Config>, 'tasks'>,
): number | null {
  if (ditHighNoise === null) return null;
  const published = tasks[task];
  const boundary = timestepBoundary ?? (published && 'config' in published ? published.timestepBoundary : undefined);
  if (boundary !== undefined) return boundary;
  const pairs = Object.entries(tasks).flatMap(([name, other]) =>
    'config' in other && other.timestepBoundary !== undefined ? [`--task ${name}`] : [],
  );
  throw new TrainerError(
    'OPTION_CONFLICT',
    `dit_high_noise is given, but a model of task = "${task}" is one transformer: nothing says where two change over.`,
    `Use ${[...pairs, 'give --timestep_boundary, e.g. 875'].join(', or ')}.`,
    { option: 'timestep_boundary' },
  );
}
