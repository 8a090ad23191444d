import { fromSafetensors } from '@musubi/onnx-graph';
import type { ParameterSource } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';
import { canonicalKey } from '../keys.ts';

/**
 * The weights of an adapter file where they lie, for a frozen adapter: nothing of it passes through JavaScript.
 *
 * @param locate maps the path of the file to its location relative to the folder of external data. ONNX Runtime refuses
 *   files outside of that folder, also behind links.
 */
export function adapterSource(store: Pick<TensorStore, 'tensors'>, locate: (file: string) => string): ParameterSource {
  const infos = new Map(Array.from(store.tensors.values(), (info) => [canonicalKey(info.name), info]));
  return (name) => {
    const info = infos.get(name);
    const dtype = info && fromSafetensors(info.dtype);
    if (!info || !dtype) return undefined;
    return {
      dtype,
      shape: info.shape,
      external: { location: locate(info.source), offset: info.offset, length: info.byteLength },
      ...(info.strides ? { strides: info.strides } : {}),
    };
  };
}
