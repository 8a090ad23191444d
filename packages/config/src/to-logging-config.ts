import { parse } from 'smol-toml';

import { didYouMean, nearestName } from './internal/nearest.ts';
import { loggedOptions } from './logged-options.ts';
import type { OptionValues } from './option-values.ts';
import type { OptionsRead, ReadText } from './read-options.ts';
import type { LoggingConfig, WandbConfig } from './train-config.ts';

/** What the logging options say together; mistakes go to `values.problem`. */
export async function toLoggingConfig(
  values: OptionValues,
  options: OptionsRead['options'],
  readText: ReadText,
): Promise<LoggingConfig> {
  const { textOrNull, flag } = values;
  const folder = textOrNull('logging_dir');
  const logWith = textOrNull('log_with') ?? (folder === null ? null : 'tensorboard');
  const tensorBoard = logWith === 'tensorboard' || logWith === 'all';
  const tracker = await readTrackerConfig(values, readText);
  const wandb = tracker ?? { ...noWandbDetails, name: textOrNull('wandb_run_name') };
  return {
    folder,
    tensorBoard,
    wandb: logWith === 'wandb' || logWith === 'all' ? { ...wandb, apiKey: textOrNull('wandb_api_key') } : null,
    prefix: textOrNull('log_prefix'),
    trackerName: textOrNull('log_tracker_name'),
    options: flag('log_config') ? loggedOptions(options) : null,
  };
}

type WandbDetails = Omit<WandbConfig, 'apiKey'>;

const noWandbDetails: WandbDetails = { name: null, entity: null, group: null, jobType: null, notes: null, tags: [] };

/** Keys of `[wandb]`; texts but for the last. */
const wandbKeys = ['name', 'entity', 'group', 'job_type', 'notes', 'tags'];

/** `--log_tracker_config`, which replaces what other options say about the run; null without it. */
async function readTrackerConfig(
  { textOrNull, problem }: OptionValues,
  readText: ReadText,
): Promise<WandbDetails | null> {
  const path = textOrNull('log_tracker_config');
  if (path === null) return null;
  const wrong = (found: string, remedy: string, nearest?: string): null => {
    problem('BAD_VALUE', 'log_tracker_config', found, remedy, nearest);
    return null;
  };
  let sections: Record<string, unknown>;
  try {
    sections = parse((await readText(path)).replace(/^\uFEFF/, ''));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    return wrong(`the file cannot be read: ${reason}.`, 'Give a TOML file with a section [wandb].');
  }
  const unknownSection = Object.keys(sections).find((name) => name !== 'wandb' && name !== 'tensorboard');
  if (unknownSection !== undefined) {
    return wrong(`it has a section [${unknownSection}].`, 'Sections are [wandb] and [tensorboard].');
  }
  const found = (sections['wandb'] ?? {}) as Record<string, unknown>;
  for (const [key, value] of Object.entries(found)) {
    if (!wandbKeys.includes(key)) {
      const nearest = nearestName(key, wandbKeys);
      const remedy = `${didYouMean(nearest)}Known: ${wandbKeys.join(', ')}.`;
      return wrong(`[wandb] has no "${key}" here.`, remedy, nearest);
    }
    const isTags = key === 'tags';
    const fits = isTags ? Array.isArray(value) && value.every(isText) : isText(value);
    if (!fits) return wrong(`[wandb] ${key} is not ${isTags ? 'a list of texts' : 'a text'}.`, 'Put it in quotes.');
  }
  const text = (key: string): string | null => (isText(found[key]) ? found[key] : null);
  return {
    name: text('name'),
    entity: text('entity'),
    group: text('group'),
    jobType: text('job_type'),
    notes: text('notes'),
    tags: (found['tags'] ?? []) as string[],
  };
}

const isText = (value: unknown): value is string => typeof value === 'string';
