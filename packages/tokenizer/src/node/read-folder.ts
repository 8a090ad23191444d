import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createTokenizer, type Tokenizer } from '../create-tokenizer.ts';
import { TokenizerError } from '../errors.ts';

/** Far more than any tokenizer has. */
const maxBytes = 256 * 2 ** 20;

/** The file in a folder that makes it a tokenizer's; null when there is none. */
export async function findTokenizerFile(folder: string): Promise<string | null> {
  const file = join(folder, 'tokenizer.json');
  return (await isFile(file)) ? file : null;
}

/**
 * The tokenizer of a tokenizer.json, with the tokenizer_config.json beside it if there is one.
 *
 * @throws {TokenizerError} `FILE_UNREADABLE`, and those of `createTokenizer`, with `file`
 */
export async function readTokenizer(file: string, maxLength: number): Promise<Tokenizer> {
  const configFile = join(file, '..', 'tokenizer_config.json');
  const tokenizerConfig = (await isFile(configFile)) ? await readJson(configFile) : {};
  const tokenizerJson = await readJson(file);
  try {
    return createTokenizer({ tokenizerJson, tokenizerConfig, maxLength });
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    const what = error.message.slice(0, -error.remedy.length).trimEnd();
    throw new TokenizerError(error.code, `${file}: ${what}`, error.remedy, { file, cause: error });
  }
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}

async function readJson(file: string): Promise<unknown> {
  try {
    const { size } = await stat(file);
    if (size > maxBytes) throw new Error(`${size} bytes are too many for a tokenizer`);
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new TokenizerError(
      'FILE_UNREADABLE',
      `${file} cannot be read: ${(cause as Error).message}.`,
      'Fetch the file again.',
      { file, cause },
    );
  }
}
