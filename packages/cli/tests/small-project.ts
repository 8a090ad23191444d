import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { writeSmallFolder } from './small-folder.ts';

/** A folder with what a user brings along: captioned pictures, a tokenizer, and small models with random weights. */
export interface SmallProject {
  readonly folder: string;
  remove(): void;
}

/** Makes `images/`, `tokenizer/`, `wan.safetensors`, `vae.safetensors` and `umt5.safetensors` in a folder of its own. */
export async function makeSmallProject(prefix: string): Promise<SmallProject> {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  await writeSmallFolder(folder, {
    images: 'images',
    transformers: ['wan.safetensors'],
    vae: 'vae.safetensors',
    textEncoder: 'umt5.safetensors',
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }) };
}
