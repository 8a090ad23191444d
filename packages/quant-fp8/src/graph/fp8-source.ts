import { fromSafetensors } from '@musubi/onnx-graph';
import type { ParameterSource } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

/**
 * The weights and scales of a file where they lie: nothing of it passes through JavaScript.
 *
 * @param locate maps the path of the file to its location relative to the folder of external data, by default its last part
 */
export function fp8Source(
  store: Pick<TensorStore, 'tensors'>,
  locate = (file: string): string => file.replace(/^.*[\\/]/, ''),
): ParameterSource {
  return (name) => {
    const info = store.tensors.get(name);
    const dtype = info && fromSafetensors(info.dtype);
    if (!info || !dtype) return undefined;
    const { shape, source, offset, byteLength: length } = info;
    return { dtype, shape, external: { location: locate(source), offset, length } };
  };
}
