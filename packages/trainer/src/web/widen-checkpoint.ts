import { type SafetensorsDtype, type TensorStore, serializeSafetensors } from '@musubi/safetensors';

/**
 * A safetensors file with the tensors of another one, those of some types of 16-bit floats as float32. One tensor at a time is
 * in memory: browsers keep the parts of large Blobs on disk.
 *
 * @param narrow the types that are widened
 * @returns null where nothing has to be widened
 */
export async function widenCheckpoint(store: TensorStore, narrow: ReadonlySet<SafetensorsDtype>): Promise<Blob | null> {
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
