import type { CacheLatentsConfig, CacheTextConfig } from '@musubi/config';

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { resolveCommand } from '@musubi/config';
import sharp from 'sharp';

import type { CachingHooks, CachingOutcome } from '../src/node.ts';

import { runCacheLatents, runCacheTexts } from '../src/node.ts';

/** A folder in which pictures are cached; it is the working folder until it is closed. */
export interface CachingFolder {
  readonly path: string;
  write(file: string, content: string | Uint8Array): Promise<void>;
  /** A PNG of RGB pixels `[height, width, 3]`. */
  writePicture(file: string, pixels: Uint8Array, width: number, height: number): Promise<void>;
  /** `wan_cache_latents` or `wan_cache_text_encoder_outputs` with options, split at spaces. */
  run(command: 'latents' | 'texts', options: string, hooks?: CachingHooks): Promise<FinishedCaching>;
  /** Removes everything in it. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export interface FinishedCaching extends CachingOutcome {
  readonly lines: readonly string[];
}

const noFiles = () => Promise.reject(new Error('no files'));

export async function openCachingFolder(): Promise<CachingFolder> {
  const before = process.cwd();
  const path = await mkdtemp(join(tmpdir(), 'musubi-caching-'));
  process.chdir(path);
  const write = async (file: string, content: string | Uint8Array) => {
    await mkdir(dirname(join(path, file)), { recursive: true });
    await writeFile(join(path, file), content);
  };
  return {
    path,
    write,
    async writePicture(file, pixels, width, height) {
      await write(
        file,
        await sharp(pixels, { raw: { width, height, channels: 3 } })
          .png()
          .toBuffer(),
      );
    },
    async run(command, options, hooks = {}) {
      const argv = options.split(' ').filter((word) => word !== '');
      const name = command === 'latents' ? 'wan_cache_latents' : 'wan_cache_text_encoder_outputs';
      const { config } = await resolveCommand({ command: name, argv, readText: noFiles });
      const lines: string[] = [];
      const logger = (line: string) => lines.push(line);
      const given = { ...hooks, logger };
      const outcome =
        command === 'latents'
          ? await runCacheLatents(config as CacheLatentsConfig, given)
          : await runCacheTexts(config as CacheTextConfig, given);
      return { ...outcome, lines };
    },
    async clear() {
      for (const name of await readdir(path)) await rm(join(path, name), { recursive: true });
    },
    async close() {
      process.chdir(before);
      await rm(path, { recursive: true, force: true });
    },
  };
}
