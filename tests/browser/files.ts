// Takes the place of `node:fs`, `node:fs/promises` and `node:path` in tests that run in a worker of a browser: reads from
// the server of the test page. What writes is missing.

/** An entry of a folder, as the server lists it. */
interface Listed {
  readonly name: string;
  readonly isFolder: boolean;
}

function request(method: string, path: string): XMLHttpRequest {
  const sent = new XMLHttpRequest();
  // a worker may wait for an answer, as readFileSync does
  sent.open(method, encodeURI(path), false);
  sent.responseType = 'arraybuffer';
  sent.send();
  return sent;
}

function read(path: string): Uint8Array {
  const { status, response } = request('GET', path);
  if (status === 200) return new Uint8Array(response as ArrayBuffer);
  throw new Error(`ENOENT: no such file or directory, open '${path}'`);
}

const decoder = new TextDecoder();

export const existsSync = (path: string): boolean => request('HEAD', path).status === 200;

export function readFileSync(path: string, encoding?: string): Uint8Array | string {
  const bytes = read(path);
  return encoding === undefined ? bytes : decoder.decode(bytes);
}

export function readdirSync(path: string, options: { withFileTypes?: boolean } = {}): unknown[] {
  const entries = JSON.parse(decoder.decode(read(path))) as Listed[];
  if (!options.withFileTypes) return entries.map(({ name }) => name);
  return entries.map(({ name, isFolder }) => ({ name, isDirectory: () => isFolder, isFile: () => !isFolder }));
}

export const readFile = async (path: string, encoding?: string): Promise<Uint8Array | string> =>
  readFileSync(path, encoding);

export const readdir = async (path: string): Promise<unknown[]> => readdirSync(path);

export const join = (...parts: string[]): string => parts.join('/').replaceAll(/\/+/g, '/');
export const basename = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
export const dirname = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0)) || '/';
