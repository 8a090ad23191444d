import type { TensorStore } from '@musubi/safetensors';

import { openCheckpointFile } from '@musubi/safetensors/node';

/** Opens a file whose tensors read as zeros, so that what only looks at names and shapes reads no weights. */
export async function openHeadersOnly(path: string): Promise<TensorStore> {
  const store = await openCheckpointFile(path);
  return {
    ...store,
    // alphas, which are single numbers, decide whether an adapter fits
    readFloat32: (name) => {
      const count = sizeOf(store, name);
      return count <= 1 ? store.readFloat32(name) : Promise.resolve(new Float32Array(count));
    },
  };
}

function sizeOf({ tensors }: TensorStore, name: string): number {
  return tensors.get(name)?.shape.reduce((product, axis) => product * axis, 1) ?? 0;
}
