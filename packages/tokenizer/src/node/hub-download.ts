import { createHash } from 'node:crypto';
import { TokenizerError } from '../errors.ts';
import { isName, storeSnapshot, type HubFile } from './hub-cache.ts';
import type { HubSettings } from './hub-settings.ts';

export interface DownloadOptions {
  readonly settings: HubSettings;
  readonly fetch: typeof fetch;
  readonly logger: (line: string) => void;
  /** How long to wait for the next part of an answer. */
  readonly timeoutMs: number;
}

const files = [
  { name: 'tokenizer.json', isRequired: true },
  { name: 'tokenizer_config.json', isRequired: true },
  { name: 'special_tokens_map.json', isRequired: false },
];

/** Far more than any tokenizer has; the one of UMT5-XXL has 17 MB. */
const maxBytes = 256 * 2 ** 20;

/**
 * Fetches a repository's tokenizer from the hub into the cache. Nothing is written before every file is here and whole.
 *
 * @returns the folder of the snapshot
 * @throws {TokenizerError} `DOWNLOAD_DENIED`, `DOWNLOAD_NOT_FOUND`, `DOWNLOAD_FAILED`, `CACHE_NOT_WRITABLE`
 */
export async function downloadTokenizer(repository: string, options: DownloadOptions): Promise<string> {
  const { settings, logger } = options;
  let commit: string | null = null;
  const fetched: HubFile[] = [];
  for (const { name, isRequired } of files) {
    // Later files come from the commit of the first, even if the branch has moved on meanwhile.
    const url = `${settings.endpoint}/${repository}/resolve/${commit ?? 'main'}/${name}`;
    try {
      logger(`Fetching ${url}`);
      const file = await fetchFile(url, options);
      commit ??= file.commit;
      fetched.push({ name, etag: file.etag, bytes: file.bytes });
    } catch (error) {
      if (isRequired || !isNotFound(error)) throw error;
    }
  }
  return storeSnapshot(settings.cache, repository, commit!, fetched);
}

function isNotFound(error: unknown): boolean {
  return error instanceof TokenizerError && error.code === 'DOWNLOAD_NOT_FOUND';
}

interface FetchedFile {
  readonly commit: string;
  readonly etag: string;
  readonly bytes: Uint8Array;
}

async function fetchFile(url: string, options: DownloadOptions): Promise<FetchedFile> {
  const stop = new AbortController();
  const waiting = setTimeout(
    () => stop.abort(new Error(`no answer for ${options.timeoutMs / 1000} s`)),
    options.timeoutMs,
  );
  const isAlive = () => waiting.refresh();
  try {
    const { response, commit, etag, size } = await follow(url, options, stop.signal);
    const bytes = await readBody(response, isAlive);
    checkBytes(bytes, size, etag);
    return { commit, etag, bytes };
  } catch (error) {
    if (error instanceof TokenizerError) throw error;
    const cause: unknown = stop.signal.aborted ? stop.signal.reason : error;
    throw failed(url, `could not be fetched: ${reasonOf(cause)}`, { cause });
  } finally {
    clearTimeout(waiting);
    stop.abort();
  }
}

interface Answer {
  readonly response: Response;
  readonly commit: string;
  readonly etag: string;
  readonly size: number | null;
}

/**
 * Follows redirects by hand: the hub's own answers, not those of the storage that it sends to, name commit and
 * content, and the token is for the hub alone.
 */
async function follow(url: string, { settings, fetch }: DownloadOptions, signal: AbortSignal): Promise<Answer> {
  const hub = new URL(settings.endpoint).origin;
  let at = new URL(url);
  let commit: string | null = null;
  let etag: string | null = null;
  let size: number | null = null;
  for (let redirects = 0; redirects <= 5; redirects++) {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (settings.token !== null && at.origin === hub) headers['authorization'] = `Bearer ${settings.token}`;
    const response = await fetch(at, { headers, redirect: 'manual', signal });
    if (at.origin === hub) {
      commit ??= response.headers.get('x-repo-commit');
      etag ??= response.headers.get('x-linked-etag') ?? (response.ok ? response.headers.get('etag') : null);
      size ??= countOf(response.headers.get('x-linked-size'));
    }
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      at = new URL(location, at);
      continue;
    }
    if (!response.ok) throw refused(url, response.status, settings.token !== null);
    const name = etag?.replace(/^W\//, '').replaceAll('"', '') ?? '';
    if (commit === null || !isName(commit) || !isName(name)) {
      throw failed(url, 'came without the headers x-repo-commit and etag, by which the cache names files');
    }
    size ??= countOf(response.headers.get('content-length'));
    return { response, commit, etag: name, size };
  }
  throw failed(url, 'leads from one address to the next without end');
}

function countOf(header: string | null): number | null {
  return header !== null && /^\d+$/.test(header) ? Number(header) : null;
}

async function readBody(response: Response, isAlive: () => void): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const chunk = (await reader?.read())?.value;
    if (chunk === undefined) return Buffer.concat(chunks);
    isAlive();
    length += chunk.length;
    if (length > maxBytes) throw new Error(`it is larger than ${maxBytes / 2 ** 20} MiB`);
    chunks.push(chunk);
  }
}

/** Large files have the SHA-256 of their content as etag. */
function checkBytes(bytes: Uint8Array, size: number | null, etag: string): void {
  if (size !== null && bytes.length !== size) throw new Error(`${bytes.length} of ${size} bytes came`);
  if (!/^[0-9a-f]{64}$/.test(etag)) return;
  if (createHash('sha256').update(bytes).digest('hex') !== etag)
    throw new Error('its bytes are not those of its SHA-256');
}

function refused(url: string, status: number, hasToken: boolean): TokenizerError {
  if (status === 401 || status === 403) {
    const token = hasToken ? 'with the access token that was found' : 'without an access token';
    const what = `${url} was refused (${status}) ${token}.`;
    return new TokenizerError('DOWNLOAD_DENIED', what, 'Set HF_TOKEN to a token that may read the repository.', {
      url,
      status,
    });
  }
  if (status === 404) {
    const remedy = 'Check HF_ENDPOINT if you have set it.';
    return new TokenizerError('DOWNLOAD_NOT_FOUND', `${url} does not exist (404).`, remedy, { url, status });
  }
  return failed(url, `was answered with status ${status}`, { status });
}

function failed(url: string, what: string, facts: { status?: number; cause?: unknown } = {}): TokenizerError {
  const remedy = 'Check the connection, proxy and HF_ENDPOINT, then try again.';
  return new TokenizerError('DOWNLOAD_FAILED', `${url} ${what}.`, remedy, { url, ...facts });
}

/** The message of `fetch` is only "fetch failed"; why stands in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error
    ? `${error.message} (${cause.message || (cause as NodeJS.ErrnoException).code})`
    : error.message;
}
