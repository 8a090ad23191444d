import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { convertSentencePiece } from '../convert-sentencepiece.ts';
import { createTokenizer, type Tokenizer } from '../create-tokenizer.ts';
import { TokenizerError } from '../errors.ts';

/** Far more than any tokenizer has. */
const maxBytes = 256 * 2 ** 20;

/** The file in a folder that makes it a tokenizer's: tokenizer.json, else spiece.model; null when there is none. */
export async function findTokenizerFile(folder: string): Promise<string | null> {
  for (const name of ['tokenizer.json', 'spiece.model']) {
    const file = join(folder, name);
    if (await isFile(file)) return file;
  }
  return null;
}

/**
 * The tokenizer of a tokenizer.json or, by its name, a SentencePiece `.model`, with the tokenizer_config.json beside
 * it if there is one.
 *
 * @throws {TokenizerError} `FILE_UNREADABLE`, and those of `createTokenizer`, with `file`
 */
export async function readTokenizer(file: string, maxLength: number): Promise<Tokenizer> {
  const configFile = join(file, '..', 'tokenizer_config.json');
  const tokenizerConfig = (await isFile(configFile)) ? await readJson(configFile) : {};
  const bytes = await readBounded(file);
  try {
    const tokenizerJson = file.endsWith('.model')
      ? convertSentencePiece(bytes, tokenizerConfig)
      : parseJson(file, bytes);
    return createTokenizer({ tokenizerJson, tokenizerConfig, maxLength });
  } catch (error) {
    if (!(error instanceof TokenizerError) || error.file !== undefined) throw error;
    const what = error.message.slice(0, -error.remedy.length).trimEnd();
    throw new TokenizerError(error.code, `${file}: ${what}`, error.remedy, { file, cause: error });
  }
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}

async function readJson(file: string): Promise<unknown> {
  return parseJson(file, await readBounded(file));
}

function parseJson(file: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw unreadable(file, `is not JSON: ${(cause as Error).message}`, cause);
  }
}

async function readBounded(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > maxBytes) throw new Error(`${size} bytes are too many for a tokenizer`);
    return await readFile(file);
  } catch (cause) {
    throw unreadable(file, `cannot be read: ${(cause as Error).message}`, cause);
  }
}

function unreadable(file: string, what: string, cause: unknown): TokenizerError {
  return new TokenizerError('FILE_UNREADABLE', `${file} ${what}.`, 'Fetch the file again.', { file, cause });
}
