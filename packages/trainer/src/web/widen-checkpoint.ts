import {
  type SafetensorsDtype,
  type TensorInfo,
  type TensorStore,
  fromFloat32,
  serializeSafetensors,
} from '@musubi/safetensors';

const floats: ReadonlySet<SafetensorsDtype> = new Set(['F32', 'BF16', 'F16']);

/**
 * A safetensors file with the tensors of another one, those of some types of 16-bit floats as float32. One tensor at a time is
 * in memory: browsers keep the parts of large Blobs on disk.
 *
 * @param unknown types of floats that become float32
 * @param isFloat16 whether floats become float16 instead, e.g. weights of products in float16
 * @returns null where nothing has to be changed
 */
export async function widenCheckpoint(
  store: TensorStore,
  unknown: ReadonlySet<SafetensorsDtype>,
  isFloat16: (name: string) => boolean = () => false,
): Promise<Blob | null> {
  const dtypeOf = ({ name, dtype }: Pick<TensorInfo, 'name' | 'dtype'>): SafetensorsDtype => {
    if (floats.has(dtype) && isFloat16(name)) return 'F16';
    return unknown.has(dtype) ? 'F32' : dtype;
  };
  const tensors = [...store.tensors.values()];
  if (tensors.every((tensor) => dtypeOf(tensor) === tensor.dtype)) return null;
  const { header, order } = serializeSafetensors(
    tensors.map(({ name, shape, dtype }) => ({ name, shape, dtype: dtypeOf({ name, dtype }) })),
    { metadata: store.metadata },
  );
  const parts = [new Blob([header as BlobPart])];
  for (const { tensor } of order) {
    const isSame = store.tensors.get(tensor.name)?.dtype === tensor.dtype;
    const values = isSame
      ? await store.read(tensor.name)
      : fromFloat32(await store.readFloat32(tensor.name), tensor.dtype);
    parts.push(new Blob([values as BlobPart]));
  }
  return new Blob(parts);
}
