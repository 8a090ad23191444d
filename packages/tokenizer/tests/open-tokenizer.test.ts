import { createHash } from 'node:crypto';
import { cp, lstat, mkdir, mkdtemp, readFile, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openTokenizer, type OpenTokenizerOptions } from '@musubi/tokenizer/node';
import { startServer, type HubServer } from './hub-server.ts';
import { fixtures } from './fixtures.ts';

const repository = 'google/umt5-xxl';
const commit = '0123456789abcdef0123456789abcdef01234567';
const names = ['tokenizer.json', 'tokenizer_config.json'];
const contents = new Map(
  await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, fixtures))] as const)),
);
const sha256 = createHash('sha256').update(contents.get('tokenizer.json')!).digest('hex');

let folder: string;
let weights: string;
let cache: string;
let logged: string[];
const servers: HubServer[] = [];

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'tokenizer-')));
  weights = join(folder, 'weights', 'models_t5_umt5-xxl-enc-bf16.pth');
  cache = join(folder, 'home', 'hub');
  logged = [];
  await mkdir(join(folder, 'weights'));
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await rm(folder, { recursive: true });
});

function open(options: Partial<OpenTokenizerOptions> = {}, environment: Record<string, string> = {}) {
  return openTokenizer({
    tokenizer: null,
    besideFile: weights,
    environment: { HF_HOME: join(folder, 'home'), HF_HUB_OFFLINE: '1', ...environment },
    logger: (line) => logged.push(line),
    ...options,
  });
}

async function put(target: string, files: readonly string[] = names): Promise<string> {
  await mkdir(target, { recursive: true });
  for (const name of files) await cp(fileURLToPath(new URL(name, fixtures)), join(target, name));
  return join(target, files[0]!);
}

describe('--tokenizer', () => {
  test('is a folder or a file', async () => {
    const file = await put(join(folder, 'mine'));
    for (const tokenizer of [join(folder, 'mine'), file]) {
      const opened = await open({ tokenizer });
      expect(opened.file).toBe(file);
      expect(opened.encode('cat').at(-1)).toBe(1);
    }
    expect(logged).toEqual([`Tokenizer: ${file}`, `Tokenizer: ${file}`]);
  });

  test('may hold spiece.model alone', async () => {
    const file = await put(join(folder, 'mine'), ['spiece.model', 'tokenizer_config.json']);
    const opened = await open({ tokenizer: join(folder, 'mine') });
    expect(opened.file).toBe(file);
    await put(join(folder, 'mine'));
    const { encode } = await open({ tokenizer: join(folder, 'mine') });
    expect(opened.encode('a cat, 35mm')).toEqual(encode('a cat, 35mm'));
  });

  test('must exist, and is not replaced by another place', async () => {
    await put(join(folder, 'weights'));
    await mkdir(join(folder, 'empty'));
    const absent = { code: 'TOKENIZER_NOT_FOUND' };
    await expect(open({ tokenizer: join(folder, 'nowhere') })).rejects.toMatchObject(absent);
    await expect(open({ tokenizer: join(folder, 'empty') })).rejects.toMatchObject(absent);
    await expect(open({ tokenizer: join(folder, 'empty') })).rejects.toThrow('has no tokenizer.json');
  });

  test.each([
    ['not JSON', '{"model":', 'FILE_UNREADABLE'],
    ['another JSON', '{"weight_map":{}}', 'NOT_A_TOKENIZER'],
  ])('that is %s is named in the error', async (_, text, code) => {
    const file = await put(join(folder, 'mine'));
    await writeFile(file, text);
    await expect(open({ tokenizer: file })).rejects.toMatchObject({ code, file });
    await expect(open({ tokenizer: file })).rejects.toThrow(file);
  });
});

describe('beside the weights', () => {
  test.each(['.', 'google/umt5-xxl', 'umt5-xxl', 'tokenizer'])('in %s', async (below) => {
    const file = await put(join(folder, 'weights', below));
    expect((await open()).file).toBe(file);
  });

  test('before the cache', async () => {
    const file = await put(join(folder, 'weights', 'tokenizer'));
    await put(join(cache, 'models--google--umt5-xxl', 'snapshots', commit));
    expect((await open()).file).toBe(file);
  });
});

describe("in Hugging Face's cache", () => {
  test('at the commit of refs/main', async () => {
    await put(join(snapshots(), 'f'.repeat(40)));
    const file = await put(join(snapshots(), commit));
    const refs = join(cache, 'models--google--umt5-xxl', 'refs');
    await mkdir(refs);
    await writeFile(join(refs, 'main'), commit);
    expect((await open()).file).toBe(file);
  });

  test('at any commit where there is no refs/main', async () => {
    const file = await put(join(snapshots(), commit));
    expect((await open()).file).toBe(file);
  });

  test('where musubi-tuner has put it', async () => {
    const wan = join(cache, 'models--Wan-AI--Wan2.1-T2V-14B', 'snapshots', commit, 'google', 'umt5-xxl');
    const file = await put(wan);
    expect((await open()).file).toBe(file);
  });

  test.each([
    ['HF_HUB_CACHE', (at: string) => ({ HF_HUB_CACHE: at })],
    ['XDG_CACHE_HOME', (at: string) => ({ HF_HOME: '', XDG_CACHE_HOME: join(at, '..', '..') })],
    ['the home folder', (at: string) => ({ HF_HOME: '', HOME: join(at, '..', '..', '..') })],
    ['a path from the home folder', (at: string) => ({ HF_HOME: '', HF_HUB_CACHE: '~/hub', HOME: join(at, '..') })],
  ])('found by %s', async (_, environment) => {
    const at = join(folder, 'user', '.cache', 'huggingface', 'hub');
    const file = await put(join(at, 'models--google--umt5-xxl', 'snapshots', commit));
    expect((await open({}, environment(at))).file).toBe(file);
  });
});

describe('not found', () => {
  test('says where it looked and how to get it', async () => {
    const error: unknown = await open().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'TokenizerError', code: 'TOKENIZER_NOT_FOUND' });
    const { message, folders } = error as { message: string; folders: string[] };
    expect(folders).toContain(join(folder, 'weights', 'google', 'umt5-xxl'));
    for (const place of folders) expect(message).toContain(place);
    expect(message).toContain('HF_HUB_OFFLINE');
    const target = join(folder, 'weights', 'google', 'umt5-xxl');
    expect(message).toContain(`hf download ${repository} tokenizer.json tokenizer_config.json --local-dir "${target}"`);
    const url = `https://huggingface.co/${repository}/resolve/main/tokenizer.json`;
    expect(message).toContain(`curl -fL --create-dirs -o "${join(target, 'tokenizer.json')}" ${url}`);
    expect(message).toContain('--tokenizer');
  });

  test.each([{ HF_HUB_OFFLINE: 'true' }, { HF_HUB_OFFLINE: '', TRANSFORMERS_OFFLINE: 'YES' }])(
    'asks nobody with %j',
    async (environment) => {
      const hub = await startHub();
      await expect(open({}, { ...environment, HF_ENDPOINT: hub.url })).rejects.toMatchObject({
        code: 'TOKENIZER_NOT_FOUND',
      });
      expect(hub.requests).toEqual([]);
    },
  );
});

describe('downloaded', () => {
  test('from the hub into the cache, once', async () => {
    const hub = await startHub();
    const opened = await openOnline(hub);
    const home = join(cache, 'models--google--umt5-xxl');
    expect(opened.file).toBe(join(home, 'snapshots', commit, 'tokenizer.json'));
    expect(await readFile(join(home, 'refs', 'main'), 'utf8')).toBe(commit);
    expect((await readdir(join(home, 'blobs'))).toSorted()).toEqual([sha256, 'etag-of-config'].toSorted());
    expect((await readdir(join(home, 'snapshots', commit))).toSorted()).toEqual(names);
    expect(await realpath(opened.file)).toBe(
      process.platform === 'win32' ? expect.any(String) : join(home, 'blobs', sha256),
    );
    expect(hub.requests.map(({ path }) => path)).toEqual([
      `/${repository}/resolve/main/tokenizer.json`,
      `/${repository}/resolve/${commit}/tokenizer_config.json`,
      `/${repository}/resolve/${commit}/special_tokens_map.json`,
    ]);
    expect((await openOnline(hub)).file).toBe(opened.file);
    expect(hub.requests.length).toBe(3);
  });

  test('through redirects, with the token for the hub alone', async () => {
    const storage = await startServer((_, response) => send(response, contents.get('tokenizer.json')!, {}));
    servers.push(storage);
    const hub = await startHub({
      'tokenizer.json': (response) => {
        const headers = { 'x-repo-commit': commit, 'x-linked-etag': `"${sha256}"`, etag: '"of-the-redirect"' };
        response.writeHead(302, { ...headers, location: `${storage.url}/object?signature=1` }).end();
      },
      'tokenizer_config.json': (response) => {
        response.writeHead(307, { 'x-repo-commit': commit, location: '/elsewhere/tokenizer_config.json' }).end();
      },
    });
    await openOnline(hub, { HF_TOKEN: ' hf_secret\n' });
    expect(hub.requests.map(({ authorization }) => authorization)).toEqual(
      Array.from({ length: 4 }, () => 'Bearer hf_secret'),
    );
    expect(hub.requests[2]!.path).toBe('/elsewhere/tokenizer_config.json');
    expect(storage.requests).toEqual([{ path: '/object?signature=1', authorization: undefined }]);
    expect(await readdir(join(cache, 'models--google--umt5-xxl', 'blobs'))).toContain(sha256);
  });

  test('with the token of the file that hf auth login writes', async () => {
    const hub = await startHub();
    await mkdir(join(folder, 'home'));
    await writeFile(join(folder, 'home', 'token'), 'hf_file\n');
    await openOnline(hub);
    expect(hub.requests[0]!.authorization).toBe('Bearer hf_file');
  });

  test('without a token that cannot be in a header, which is not shown', async () => {
    const hub = await startHub();
    await openOnline(hub, { HF_TOKEN: 'hf_a b' });
    expect(hub.requests[0]!.authorization).toBe(undefined);
  });
});

describe('a download that fails leaves nothing behind', () => {
  const config: Answers = { 'tokenizer_config.json': (response) => response.writeHead(500).end() };
  const failures: readonly (readonly [string, Answers, object, string])[] = [
    ['401', refuse(401), { code: 'DOWNLOAD_DENIED', status: 401 }, 'without an access token'],
    ['403', refuse(403), { code: 'DOWNLOAD_DENIED', status: 403 }, 'refused (403)'],
    ['404', refuse(404), { code: 'DOWNLOAD_NOT_FOUND', status: 404 }, 'does not exist'],
    ['500 of a later file', config, { code: 'DOWNLOAD_FAILED', status: 500 }, 'status 500'],
    ['a body that ends early', sendPart(1), { code: 'DOWNLOAD_FAILED' }, 'could not be fetched'],
    ['a body that stops', sendPart(2), { code: 'DOWNLOAD_FAILED' }, 'no answer for 0.3 s'],
    ['no answer', { 'tokenizer.json': () => {} }, { code: 'DOWNLOAD_FAILED' }, 'no answer for 0.3 s'],
    ['a shorter body than its headers say', sendShort(), { code: 'DOWNLOAD_FAILED' }, '10 of 11 bytes came'],
    ['other bytes than its SHA-256', sendOther(), { code: 'DOWNLOAD_FAILED' }, 'SHA-256'],
    ['no commit', sendWithout('x-repo-commit'), { code: 'DOWNLOAD_FAILED' }, 'x-repo-commit'],
    ['no etag', sendWithout('etag'), { code: 'DOWNLOAD_FAILED' }, 'etag'],
    ['redirects without end', redirectForever(), { code: 'DOWNLOAD_FAILED' }, 'without end'],
  ];
  test.each(failures)('%s', async (_, answers, facts, message) => {
    const hub = await startHub(answers);
    const timeoutMs = message.startsWith('no answer') ? 300 : undefined;
    const error: unknown = await openOnline(hub, {}, timeoutMs).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'TokenizerError', ...facts });
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).toContain('hf download');
    expect(await readdir(folder)).toEqual(['weights']);
  });

  test('a hub that cannot be reached', async () => {
    const hub = await startHub();
    await hub.close();
    await expect(openOnline(hub)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
    await expect(openOnline(hub)).rejects.toThrow('ECONNREFUSED');
  });

  test('a token that is refused is not shown', async () => {
    const hub = await startHub(refuse(401));
    const error: unknown = await openOnline(hub, { HF_TOKEN: 'hf_secret' }).catch((caught: unknown) => caught);
    expect((error as Error).message).toContain('with the access token');
    expect(JSON.stringify(error) + String(error) + String((error as Error).cause)).not.toContain('hf_secret');
  });

  test('a cache that cannot be written', async () => {
    const hub = await startHub();
    await writeFile(join(folder, 'home'), 'a file where a folder should be');
    await expect(openOnline(hub)).rejects.toMatchObject({ code: 'CACHE_NOT_WRITABLE' });
  });
});

// Windows lets no ordinary user make the link.
test.skipIf(process.platform === 'win32')('replaces a broken link of the cache', async () => {
  const hub = await startHub();
  const snapshot = join(cache, 'models--google--umt5-xxl', 'snapshots', commit);
  await mkdir(snapshot, { recursive: true });
  await symlink(join('..', '..', 'blobs', 'lost'), join(snapshot, 'tokenizer.json'), 'file');
  await openOnline(hub);
  expect((await lstat(join(snapshot, 'tokenizer.json'))).isSymbolicLink()).toBe(true);
});

function snapshots(): string {
  return join(cache, 'models--google--umt5-xxl', 'snapshots');
}

type Answers = Readonly<Record<string, (response: ServerResponse) => void>>;

/** A hub that has the repository's two files; `answers` replaces its answers by name. */
async function startHub(answers: Answers = {}): Promise<HubServer> {
  const server = await startServer((path, response) => {
    const name = path.split('/').at(-1)!;
    const content = contents.get(name);
    if (answers[name] !== undefined && !path.startsWith('/elsewhere')) answers[name](response);
    else if (content === undefined) response.writeHead(404).end();
    else send(response, content, { etag: name === 'tokenizer.json' ? `"${sha256}"` : 'W/"etag-of-config"' });
  });
  servers.push(server);
  return server;
}

function openOnline(hub: HubServer, environment: Record<string, string> = {}, timeoutMs = 20_000) {
  return open({ timeoutMs }, { HF_HUB_OFFLINE: '', HF_ENDPOINT: hub.url, ...environment });
}

function send(response: ServerResponse, content: Uint8Array, headers: Record<string, string>): void {
  response.writeHead(200, { 'x-repo-commit': commit, 'content-length': content.length, ...headers }).end(content);
}

function refuse(status: number): Answers {
  return { 'tokenizer.json': (response) => response.writeHead(status).end('{"error":"no"}') };
}

/** 1: the connection ends in the middle of the body; 2: it stays open and nothing comes any more. */
function sendPart(kind: 1 | 2): Answers {
  return {
    'tokenizer.json': (response) => {
      response.writeHead(200, { 'x-repo-commit': commit, etag: '"a"', 'content-length': 1000 });
      response.write('{"version":', () => {
        if (kind === 1) response.destroy();
      });
    },
  };
}

function sendShort(): Answers {
  return {
    'tokenizer.json': (response) =>
      response.writeHead(200, { 'x-repo-commit': commit, etag: '"a"', 'x-linked-size': '11' }).end('{"a":1234}'),
  };
}

function sendOther(): Answers {
  return { 'tokenizer.json': (response) => send(response, Buffer.from('{}'), { etag: `"${sha256}"` }) };
}

function sendWithout(header: string): Answers {
  return {
    'tokenizer.json': (response) => {
      const headers: Record<string, string> = { 'x-repo-commit': commit, etag: '"a"' };
      delete headers[header];
      response.writeHead(200, headers).end('{}');
    },
  };
}

function redirectForever(): Answers {
  return { 'tokenizer.json': (response) => response.writeHead(302, { location: 'tokenizer.json' }).end() };
}
