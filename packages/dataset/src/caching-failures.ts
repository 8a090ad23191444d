import type { DatasetError } from './errors.ts';

/** An image that is left out because something of it cannot be used; the others go on. */
export interface CachingFailure {
  readonly datasetIndex: number;
  /** Path of the image as the configuration gives it. */
  readonly key: string;
  /** The file at fault as it was opened: the image, a further target, a control image or its caption. */
  readonly file: string;
  /** `PICTURE_UNREADABLE`, `PICTURE_TOO_SMALL`, `FILE_NOT_FOUND`, `FILE_UNREADABLE` */
  readonly error: DatasetError;
}

/** A line that counts the images left out, then one for each of them; empty without failures. */
export function describeFailures(failures: readonly CachingFailure[]): string {
  if (failures.length === 0) return '';
  const count = failures.length === 1 ? '1 image was' : `${failures.length} images were`;
  return [`${count} left out:`, ...failures.map(({ error }) => `  ${error.message}`)].join('\n');
}

/** Collects failures, an image's last one, and lists them in the order of the datasets. */
export interface FailureLog {
  add(failure: CachingFailure): void;
  list(): CachingFailure[];
}

/** @param keys of each dataset's images, in their order */
export function createFailureLog(keys: readonly (readonly string[])[]): FailureLog {
  const failures = keys.map(() => new Map<string, CachingFailure>());
  return {
    add: (failure) => failures[failure.datasetIndex]?.set(failure.key, failure),
    list: () => keys.flatMap((of, index) => [...new Set(of)].flatMap((key) => failures[index]?.get(key) ?? [])),
  };
}
