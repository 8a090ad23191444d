import {
  type SafetensorsDtype,
  type TensorInfo,
  type TensorStore,
  fromFloat32,
  serializeSafetensors,
} from '@musubi/safetensors';

const floats: ReadonlySet<SafetensorsDtype> = new Set(['F32', 'BF16', 'F16']);

/**
 * A safetensors file with the tensors of another one, those of 16-bit floats as float32. WebGPU has no kernel for bfloat16,
 * and shaders compute with float16 on some graphics cards only. One tensor at a time is in memory: browsers keep the
 * parts of large Blobs on disk.
 *
 * @param isFloat16 whether floats become float16 instead, e.g. weights of products in float16
 * @returns null where nothing has to be changed
 */
export async function widenCheckpoint(
  store: TensorStore,
  isFloat16: (name: string) => boolean = () => false,
): Promise<Blob | null> {
  const dtypeOf = ({ name, dtype }: Pick<TensorInfo, 'name' | 'dtype'>): SafetensorsDtype => {
    if (!floats.has(dtype)) return dtype;
    return isFloat16(name) ? 'F16' : 'F32';
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
