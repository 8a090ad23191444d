/** int64 → float32 with one rounding, from pairs of words, low word first. */
export function float32FromInt64(words: Uint32Array): Float32Array {
  return Float32Array.from({ length: words.length / 2 }, (_, i) => join(words[2 * i + 1]! | 0, words[2 * i]!));
}

/** uint64 → float32 with one rounding. */
export function float32FromUint64(words: Uint32Array): Float32Array {
  return Float32Array.from({ length: words.length / 2 }, (_, i) => join(words[2 * i + 1]!, words[2 * i]!));
}

/**
 * `high·2^32 + low` as a double that rounds to the right float32. Beyond 2^53 a double cannot hold all bits: what lies
 * below bit 12 is folded into one sticky bit, far below the place where float32 rounds, so nothing is rounded twice.
 */
function join(high: number, low: number): number {
  if (high >= -0x200000 && high < 0x200000) return high * 0x100000000 + low;
  const sticky = (low & 0xfff) === 0 ? 0 : 0x800;
  return high * 0x100000000 + (((low & ~0xfff) >>> 0) + sticky);
}
