const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]/g;

/**
 * The first key that one object of a JSON text has twice, or null. `JSON.parse` keeps the last silently, and two
 * readers that keep different ones see different tensors under one name.
 *
 * @param json a text that `JSON.parse` accepts
 */
export function findDuplicateKey(json: string): string | null {
  const open: (Set<string> | null)[] = []; // keys of the objects around this place; null for an array
  let expectsKey = false;
  for (const [token] of json.matchAll(TOKEN)) {
    const keys = open.at(-1) ?? null;
    if (token === '{') {
      open.push(new Set());
      expectsKey = true;
    } else if (token === '[') {
      open.push(null);
      expectsKey = false;
    } else if (token === '}' || token === ']') {
      open.pop();
      expectsKey = false;
    } else if (token === ',') {
      expectsKey = keys !== null;
    } else if (expectsKey && keys) {
      const key = token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1);
      if (keys.has(key)) return key;
      keys.add(key);
      expectsKey = false;
    }
  }
  return null;
}
