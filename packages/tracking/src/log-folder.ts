/** Where `--log_prefix` and `--log_tracker_name` put the logs of a run. */
export interface LogFolderOptions {
  /** Glued to the date without anything between. */
  readonly prefix?: string | null;
  /** Local time counts. */
  readonly startedAt: Date;
}

/** The name of a run's log folder: `<prefix><YYYYMMDDHHMMSS>`, in local time. */
export function logFolderName({ prefix, startedAt }: LogFolderOptions): string {
  const parts = [
    startedAt.getMonth() + 1,
    startedAt.getDate(),
    startedAt.getHours(),
    startedAt.getMinutes(),
    startedAt.getSeconds(),
  ];
  const date = String(startedAt.getFullYear()).padStart(4, '0') + parts.map((n) => String(n).padStart(2, '0')).join('');
  return `${prefix ?? ''}${date}`;
}

/** Name of the folder inside, and of the project in wandb, when `--log_tracker_name` gives none. */
export const defaultTrackerName = 'network_train';
