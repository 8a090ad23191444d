import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Environment variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What huggingface_hub's environment variables say, and by default what they say there. */
export interface HubSettings {
  /** Address of the hub, without a slash at the end. */
  readonly endpoint: string;
  /** Folder that holds a folder for each repository. */
  readonly cache: string;
  readonly isOffline: boolean;
  /** Access token; null when there is none. */
  readonly token: string | null;
}

/**
 * Reads `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`,
 * `HF_TOKEN`.
 */
export async function readHubSettings(environment: Environment): Promise<HubSettings> {
  const home = environment['HOME'] || environment['USERPROFILE'] || homedir();
  const path = (name: string) => environment[name]?.replace(/^~(?=$|[\\/])/, home) || undefined;
  const hubHome = path('HF_HOME') ?? join(path('XDG_CACHE_HOME') ?? join(home, '.cache'), 'huggingface');
  return {
    endpoint: (environment['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/+$/, ''),
    cache: path('HF_HUB_CACHE') ?? path('HUGGINGFACE_HUB_CACHE') ?? join(hubHome, 'hub'),
    isOffline: isTrue(environment['HF_HUB_OFFLINE']) || isTrue(environment['TRANSFORMERS_OFFLINE']),
    token: await readToken(environment, path('HF_TOKEN_PATH') ?? join(hubHome, 'token')),
  };
}

async function readToken(environment: Environment, file: string): Promise<string | null> {
  if (isTrue(environment['HF_HUB_DISABLE_IMPLICIT_TOKEN'])) return null;
  const given = environment['HF_TOKEN'] || environment['HUGGING_FACE_HUB_TOKEN'];
  const token = (given ?? (await readFile(file, 'utf8').catch(() => ''))).trim();
  // Anything else cannot be in a header, and the error of `fetch` would show it.
  return /^[\x21-\x7e]+$/.test(token) ? token : null;
}

function isTrue(value: string | undefined): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes(value?.toUpperCase() ?? '');
}
