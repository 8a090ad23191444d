/** Names of a cache folder, and what a run knows about them. */
export interface CacheFolderState {
  /** Cache files of the kind in the folder. */
  readonly existing: Iterable<string>;
  /** Cache files of the dataset's items. */
  readonly used: ReadonlySet<string>;
  /** Whether the file may be that of an item which could not be read, so that its cache file is not known. */
  readonly isOfUnreadable: (name: string) => boolean;
}

/** The cache files that belong to no item of a dataset any more: what is deleted without `--keep_cache`. */
export function unusedCaches({ existing, used, isOfUnreadable }: CacheFolderState): string[] {
  return [...existing].filter((name) => !used.has(name) && !isOfUnreadable(name));
}
