import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import type { SafetensorsDtype } from '@musubi/safetensors';

/** Types that weights come in. */
export type FloatDtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2';

export function isFloat(dtype: SafetensorsDtype): dtype is FloatDtype {
  return ['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'].includes(dtype);
}

export function isEightBit(dtype: SafetensorsDtype): boolean {
  return dtype === 'F8_E4M3' || dtype === 'F8_E5M2';
}

/** The values that a tensor of this type can hold; float32 holds them all. */
export function roundTo(values: Float32Array, dtype: FloatDtype): Float32Array {
  return dtype === 'F32' || dtype === 'F64' ? values : toFloat32(fromFloat32(values, dtype), dtype);
}

/** The type of a sum of two tensors, as PyTorch promotes them; 8-bit types have none. */
export function promote(a: FloatDtype, b: FloatDtype): FloatDtype {
  if (a === b) return a;
  return a === 'F64' || b === 'F64' ? 'F64' : 'F32';
}
