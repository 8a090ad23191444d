const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The nearest bfloat16 of a finite number, ties to even, as a number. Rounds to float32 first, as PyTorch does. */
export function roundToBfloat16(value: number): number {
  float[0] = value;
  const b = bits[0]!;
  bits[0] = (b + 0x7fff + ((b >>> 16) & 1)) & 0xffff0000;
  return float[0];
}
