// enough to hide a disk's latency, few enough for any limit on open files
const callsAtOnce = 16;

/** Maps a list with several calls under way, results in the list's order. */
export async function mapInOrder<From, To>(list: readonly From[], map: (one: From) => Promise<To>): Promise<To[]> {
  const results: To[] = [];
  for (let i = 0; i < list.length; i += callsAtOnce) {
    results.push(...(await Promise.all(list.slice(i, i + callsAtOnce).map(map))));
  }
  return results;
}
