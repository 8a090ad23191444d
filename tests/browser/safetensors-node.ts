// Takes the place of `@musubi/safetensors/node` in tests that run in a browser.
import {
  type ByteSource,
  type TensorStore,
  blobSource,
  openSafetensors,
} from '../../packages/safetensors/src/index.ts';

export async function fileSource(path: string): Promise<ByteSource> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return blobSource(await response.blob(), path);
}

export const openSafetensorsFile = async (path: string): Promise<TensorStore> =>
  openSafetensors(await fileSource(path));
