// A server for test pages on the loopback address.
import { readFile, readdir, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, resolve, sep } from 'node:path';

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/**
 * Serves folders and texts until it is closed.
 *
 * @param options.folders folder by the first part of the path; a folder's own path gives the names in it as JSON
 * @param options.pages text by path
 * @param options.isolated whether pages may use threads (`Cross-Origin-Opener-Policy`, `Cross-Origin-Embedder-Policy`)
 */
export async function servePages({ folders = {}, pages = {}, isolated = true }) {
  const headers = isolated
    ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
    : {};
  const server = createServer((request, response) => {
    answer(new URL(request.url ?? '/', 'http://127.0.0.1'), folders, pages).then(
      ({ type, body }) => respond(request, response, { ...headers, 'Content-Type': type }, body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

/** The whole body, or the part that `Range: bytes=…` asks for. */
function respond(request, response, headers, body) {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (!range) {
    response.writeHead(200, { ...headers, 'Content-Length': body.length }).end(body);
    return;
  }
  const start = Number(range[1]);
  const part = body.subarray(start, range[2] ? Number(range[2]) + 1 : body.length);
  const contentRange = `bytes ${start}-${start + part.length - 1}/${body.length}`;
  response.writeHead(206, { ...headers, 'Content-Length': part.length, 'Content-Range': contentRange }).end(part);
}

async function answer({ pathname }, folders, pages) {
  if (Object.hasOwn(pages, pathname)) return { type: types['.html'], body: Buffer.from(pages[pathname]) };
  const [, name = '', ...rest] = decodeURIComponent(pathname).split('/');
  if (!Object.hasOwn(folders, name)) throw new Error('not found');
  const folder = resolve(folders[name]);
  const path = join(folder, ...rest);
  if (path !== folder && !path.startsWith(folder + sep)) throw new Error('not found');
  if ((await stat(path)).isDirectory()) {
    const entries = await readdir(path, { withFileTypes: true });
    const listed = entries.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
    return { type: types['.json'], body: Buffer.from(JSON.stringify(listed)) };
  }
  return { type: types[extname(path)] ?? 'application/octet-stream', body: await readFile(path) };
}
