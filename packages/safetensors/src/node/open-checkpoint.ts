import { basename } from 'node:path';
import { openPth } from '../pth/open-pth.ts';
import { recognisePth } from '../pth/recognise.ts';
import type { TensorStore } from '../store.ts';
import { fileSource } from './file-source.ts';
import { openSafetensorsFile } from './open-file.ts';

/**
 * Opens a checkpoint of either format by path: what `openSafetensorsFile` opens, or a PyTorch file (`.pth`, `.pt`, `.ckpt`, `.bin`). The
 * first bytes decide, not the name. Headers are read, no tensor. Close it after use.
 *
 * @throws {SafetensorsError} `FILE_NOT_FOUND`, `IS_A_FOLDER`, and what `openSafetensorsFile` and `openPth` throw
 */
export async function openCheckpointFile(path: string): Promise<TensorStore> {
  // the path of an index or of one of several shards names other files
  if (basename(path).endsWith('.index.json')) return openSafetensorsFile(path);
  const source = await fileSource(path).catch(() => null);
  if (!source) return openSafetensorsFile(path);
  try {
    if (recognisePth(await source.read(0, Math.min(source.size, 512))) !== null) return await openPth(source);
  } catch (error) {
    await source.close();
    throw error;
  }
  await source.close();
  return openSafetensorsFile(path);
}
