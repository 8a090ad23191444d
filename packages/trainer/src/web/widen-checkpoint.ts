import { type SafetensorsDtype, type TensorStore, serializeSafetensors } from '@musubi/safetensors';

const narrow: ReadonlySet<SafetensorsDtype> = new Set(['BF16', 'F16']);

/**
 * A safetensors file with the tensors of another one, those of 16-bit floats as float32. WebGPU has no kernel for bfloat16,
 * and shaders compute with float16 on some graphics cards only. One tensor at a time is in memory: browsers keep the
 * parts of large Blobs on disk.
 *
 * @returns null where nothing has to be widened
 */
export async function widenCheckpoint(store: TensorStore): Promise<Blob | null> {
  const tensors = [...store.tensors.values()];
  if (!tensors.some(({ dtype }) => narrow.has(dtype))) return null;
  const { header, order } = serializeSafetensors(
    tensors.map(({ name, shape, dtype }) => ({ name, shape, dtype: narrow.has(dtype) ? ('F32' as const) : dtype })),
    { metadata: store.metadata },
  );
  const parts = [new Blob([header as BlobPart])];
  for (const { tensor } of order) {
    const values = tensor.dtype === 'F32' ? await store.readFloat32(tensor.name) : await store.read(tensor.name);
    parts.push(new Blob([values as BlobPart]));
  }
  return new Blob(parts);
}
