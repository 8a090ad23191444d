import { bytesSource, encodeSafetensors, fromFloat32, openSafetensors } from '@musubi/safetensors';
import type { SafetensorsDtype, TensorStore, TensorToWrite } from '@musubi/safetensors';

/** A tensor in a golden JSON file. */
export interface GoldenTensor {
  dtype: string;
  shape: number[];
  values: number[];
}

export type GoldenTensors = Record<string, GoldenTensor>;

const DTYPES: Readonly<Record<string, SafetensorsDtype>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
};

export function dtypeOf(name: string): SafetensorsDtype {
  const dtype = DTYPES[name];
  if (dtype === undefined) throw new Error(`the golden file has a dtype ${name} that this test does not know`);
  return dtype;
}

/** Values that one step of a type is apart, relative to the larger of two. */
export function unitInTheLastPlace(dtype: string): number {
  return { bfloat16: 2 ** -7, float16: 2 ** -10 }[dtype] ?? 0;
}

export function toTensors(tensors: GoldenTensors): TensorToWrite[] {
  return Object.entries(tensors).map(([name, { dtype, shape, values }]) => ({
    name,
    dtype: dtypeOf(dtype),
    shape,
    data:
      dtype === 'int64'
        ? new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
        : fromFloat32(Float32Array.from(values), dtypeOf(dtype)),
  }));
}

export async function storeOf(
  tensors: readonly TensorToWrite[],
  metadata?: Readonly<Record<string, string>>,
): Promise<TensorStore> {
  return openSafetensors(bytesSource(await encodeSafetensors(tensors, { metadata })));
}

/** A store of a golden JSON file's tensors. */
export function goldenStore(tensors: GoldenTensors, metadata?: Readonly<Record<string, string>>): Promise<TensorStore> {
  return storeOf(toTensors(tensors), metadata);
}
