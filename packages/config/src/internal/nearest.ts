import { distance } from 'fastest-levenshtein';

/**
 * The known name a user most likely meant: the only one that starts with what was written, else the one with the fewest
 * edits, if these are few for its length. Dashes and case do not count.
 */
export function nearestName(written: string, known: Iterable<string>): string | undefined {
  const plain = normalise(written);
  if (plain === '') return undefined;
  const names = [...known];
  const completions = names.filter((name) => normalise(name).startsWith(plain));
  if (completions.length === 1) return completions[0];
  let best: string | undefined;
  const allowed = plain.length < 4 ? 1 : Math.max(2, Math.floor(plain.length / 3));
  let fewest = allowed + 1;
  for (const name of names) {
    const edits = distance(plain, normalise(name));
    if (edits < fewest) [best, fewest] = [name, edits];
  }
  return best;
}

/** `Did you mean "x"?`, or nothing. */
export function didYouMean(nearest: string | undefined): string {
  return nearest === undefined ? '' : `Did you mean "${nearest}"? `;
}

function normalise(name: string): string {
  return name.toLowerCase().replaceAll('-', '_');
}
