// Takes the place of `@musubi/safetensors/node` in tests that run in a browser.
import { type TensorStore, blobSource, openSafetensors } from '../../packages/safetensors/src/index.ts';

export async function openSafetensorsFile(path: string): Promise<TensorStore> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return openSafetensors(blobSource(await response.blob(), path));
}
