import type { Task } from '../architecture.ts';
import type { WanConfig } from './config.ts';

import { ModelError } from '../errors.ts';
import { nearest } from '../nearest.ts';

const published = (width: number, ffnWidth: number, heads: number, layers: number): WanConfig => ({
  width,
  ffnWidth,
  heads,
  layers,
  channels: 16,
  textWidth: 4096,
  textLength: 512,
  timeWidth: 256,
  eps: 1e-6,
});

const size1B = published(1536, 8960, 12, 30);
const size14B = published(5120, 13824, 40, 40);

const imageToVideo = { refused: 'image-to-video models are not in this release' };
const funControl = { refused: 'Fun-Control models are not in this release' };

/** Every value of `--task`. */
export const wanTasks = {
  't2v-1.3B': { config: size1B },
  't2v-14B': { config: size14B },
  't2i-14B': { config: size14B },
  't2v-A14B': { config: size14B, timestepBoundary: 0.875 },
  'i2v-14B': imageToVideo,
  'i2v-A14B': imageToVideo,
  'flf2v-14B': { refused: 'first-and-last-frame models are not in this release' },
  't2v-1.3B-FC': funControl,
  't2v-14B-FC': funControl,
  'i2v-14B-FC': funControl,
  'ti2v-5B': { refused: 'it has another VAE and a time for every token, and musubi-tuner does not train it either' },
} as const satisfies Record<string, Task<WanConfig>>;

const all: readonly [string, Task<WanConfig>][] = Object.entries(wanTasks);
const supported = all.flatMap(([name, task]) => ('config' in task ? [name] : []));

/** The configuration that a task was published with, undefined without a task. */
export function publishedTask(name: string | undefined): WanConfig | undefined {
  if (name === undefined) return undefined;
  const task = all.find(([known]) => known === name)?.[1];
  if (task && 'config' in task) return task.config;
  const facts = { subject: 'task', value: name };
  const remedy = `Choose one of ${supported.join(', ')}.`;
  if (task) throw new ModelError('UNSUPPORTED_MODEL', `--task ${name}: ${task.refused}.`, remedy, facts);
  const meant = nearest(name, Object.keys(wanTasks));
  throw new ModelError(
    'UNKNOWN_TASK',
    `--task ${name} is not a task of Wan.${meant === undefined ? '' : ` Did you mean ${meant}?`}`,
    remedy,
    facts,
  );
}

/**
 * Refuses a checkpoint that is not of the task's size. Sizes that were never published pass: no task has them, and
 * the graph follows the checkpoint.
 */
export function refuseOtherTask(
  name: string | undefined,
  found: Pick<WanConfig, 'width' | 'ffnWidth' | 'layers'>,
): void {
  const wanted = publishedTask(name);
  if (!wanted || sameSize(wanted, found)) return;
  const fitting = all.flatMap(([other, task]) => ('config' in task && sameSize(task.config, found) ? [other] : []));
  if (fitting.length === 0 && wanted.width !== found.width) return;
  throw new ModelError(
    'TASK_MISMATCH',
    `--task ${name} has ${formatSize(wanted)}; the checkpoint has ${formatSize(found)}.`,
    fitting.length > 0
      ? `Use --task ${fitting.join(' or ')}, or another file.`
      : 'Give the complete file of that task.',
    { subject: 'task', value: name },
  );
}

type Size = Pick<WanConfig, 'width' | 'ffnWidth' | 'layers'>;

const sameSize = (a: Size, b: Size): boolean =>
  a.width === b.width && a.ffnWidth === b.ffnWidth && a.layers === b.layers;

const formatSize = ({ width, ffnWidth, layers }: Size): string =>
  `width ${width}, feed-forward width ${ffnWidth}, ${layers} blocks`;
