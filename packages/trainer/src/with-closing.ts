/** What is to be closed at the end, in the order in which it was opened. */
export type Closing = (() => Promise<void>)[];

/**
 * Closes all that `use` has put on its list, the last first, whatever becomes of it; what cannot be closed does not keep the
 * others open.
 *
 * @throws what `use` throws, else the first that could not be closed
 */
export async function withClosing<T>(use: (closing: Closing) => Promise<T>): Promise<T> {
  const closing: Closing = [];
  const faults: unknown[] = [];
  const note = (error: unknown) => void faults.push(error);
  const [outcome] = await Promise.allSettled([(async () => use(closing))()]);
  if (outcome.status === 'rejected') note(outcome.reason);
  for (const close of closing.toReversed()) await close().catch(note);
  if (outcome.status === 'rejected' || faults.length > 0) throw faults[0];
  return outcome.value;
}
