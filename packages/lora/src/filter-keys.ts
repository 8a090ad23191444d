import { compilePattern } from './pattern.ts';

export interface KeyFilter {
  /** keep only keys in which this Python regular expression is found */
  readonly include?: string | null;
  /** of these, leave out keys in which this one is found */
  readonly exclude?: string | null;
}

/**
 * The keys of an adapter file that are to be used. Unlike the patterns of training, these are searched in the key.
 *
 * @throws {LoraError} `PATTERN_INVALID`, `PATTERN_UNSUPPORTED`
 */
export function filterKeys(keys: readonly string[], { include = null, exclude = null }: KeyFilter): string[] {
  const wanted = include === null ? null : compilePattern(include, 'include_pattern', { anywhere: true });
  const unwanted = exclude === null ? null : compilePattern(exclude, 'exclude_pattern', { anywhere: true });
  return keys.filter((key) => (wanted?.test(key) ?? true) && !unwanted?.test(key));
}
