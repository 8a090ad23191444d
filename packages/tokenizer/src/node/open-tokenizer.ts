import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Tokenizer } from '../create-tokenizer.ts';
import { TokenizerError } from '../errors.ts';
import { findSnapshot, repositoryFolder } from './hub-cache.ts';
import { downloadTokenizer } from './hub-download.ts';
import { readHubSettings, type Environment, type HubSettings } from './hub-settings.ts';
import { findTokenizerFile, isFile, readTokenizer } from './read-folder.ts';

export interface OpenTokenizerOptions {
  /** `--tokenizer`: a folder with tokenizer.json, or that file; null: looked for. */
  readonly tokenizer: string | null;
  /** The text encoder's weights, beside which tokenizers are published. */
  readonly besideFile: string;
  /** The repository that has the tokenizer on the hub. Default `google/umt5-xxl`. */
  readonly repository?: string;
  /** Most ids of a text. Default 512. */
  readonly maxLength?: number;
  /** Environment variables. Default: the process's own. */
  readonly environment?: Environment;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** How long to wait for the next part of an answer of the hub. Default 30 s. */
  readonly timeoutMs?: number;
  readonly logger?: ((line: string) => void) | undefined;
}

export interface OpenedTokenizer extends Tokenizer {
  /** The file that was read. */
  readonly file: string;
}

/**
 * Finds and reads a tokenizer: at `tokenizer`; else beside the weights, in their folder or in `google/umt5-xxl`,
 * `umt5-xxl` or `tokenizer` below it; else in the cache of Hugging Face's programs, also where musubi-tuner has put
 * it; else fetched from the hub into that cache, unless `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` is set.
 *
 * @throws {TokenizerError} every code but `VOCABULARY_TOO_LARGE`; the message says where was looked and which command
 *   fetches the files
 */
export async function openTokenizer(options: OpenTokenizerOptions): Promise<OpenedTokenizer> {
  const { maxLength = 512, logger = () => {} } = options;
  const file = options.tokenizer === null ? await findOrFetch(options, logger) : await fileAt(options.tokenizer);
  logger(`Tokenizer: ${file}`);
  return { ...(await readTokenizer(file, maxLength)), file };
}

async function fileAt(path: string): Promise<string> {
  const at = resolve(path);
  if (await isFile(at)) return at;
  const file = await findTokenizerFile(at);
  if (file !== null) return file;
  const isFolder = (await stat(at).catch(() => null))?.isDirectory() ?? false;
  throw new TokenizerError(
    'TOKENIZER_NOT_FOUND',
    isFolder ? `The folder --tokenizer ${path} has no tokenizer.json.` : `--tokenizer ${path} does not exist.`,
    'Give a folder that has tokenizer.json and tokenizer_config.json.',
    { folders: [at] },
  );
}

async function findOrFetch(options: OpenTokenizerOptions, logger: (line: string) => void): Promise<string> {
  const { repository = 'google/umt5-xxl', timeoutMs = 30_000, environment = process.env } = options;
  const settings = await readHubSettings(environment);
  const folders = foldersBeside(options.besideFile, repository);
  for (const cached of cachedFolders(repository)) {
    const snapshot = await findSnapshot(settings.cache, cached.repository);
    folders.push(join(snapshot ?? repositoryFolder(settings.cache, cached.repository), cached.folder));
  }
  for (const folder of folders) {
    const file = await findTokenizerFile(folder);
    if (file !== null) return file;
  }
  const searched = `No tokenizer was found in\n${folders.map((folder) => `  ${folder}\n`).join('')}`;
  const remedy = howToFetch(options.besideFile, repository, settings);
  if (settings.isOffline) {
    const what = `${searched}and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids fetching it.\n`;
    throw new TokenizerError('TOKENIZER_NOT_FOUND', what, remedy, { folders });
  }
  try {
    const { fetch = globalThis.fetch } = options;
    return join(await downloadTokenizer(repository, { settings, fetch, logger, timeoutMs }), 'tokenizer.json');
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    const { url, status, file } = error;
    const facts = { folders, cause: error, ...(url && { url }), ...(status && { status }), ...(file && { file }) };
    throw new TokenizerError(error.code, `${searched}and ${error.message}\n`, remedy, facts);
  }
}

function foldersBeside(weights: string, repository: string): string[] {
  const folder = dirname(resolve(weights));
  return ['.', repository, basename(repository), 'tokenizer'].map((below) => join(folder, below));
}

/** In the cache, Wan's tokenizer is also where musubi-tuner takes it from: in the repository of Wan 2.1. */
function cachedFolders(repository: string): readonly { readonly repository: string; readonly folder: string }[] {
  const own = { repository, folder: '.' };
  return repository === 'google/umt5-xxl' ? [own, { repository: 'Wan-AI/Wan2.1-T2V-14B', folder: repository }] : [own];
}

function howToFetch(weights: string, repository: string, { endpoint }: HubSettings): string {
  const folder = join(dirname(resolve(weights)), repository);
  const curl = (name: string) =>
    `  curl -fL --create-dirs -o "${join(folder, name)}" ${endpoint}/${repository}/resolve/main/${name}\n`;
  return (
    `Fetch it with\n  hf download ${repository} tokenizer.json tokenizer_config.json --local-dir "${folder}"\nor\n` +
    `${curl('tokenizer.json')}${curl('tokenizer_config.json')}` +
    'where it is found by itself, or into any folder that you then give with --tokenizer.'
  );
}
