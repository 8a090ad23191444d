import type { HostTensor } from '@musubi/onnx-graph';

/** Longest distance that has a bucket of its own. */
const maxDistance = 128;

/**
 * Buckets of relative positions, both directions apart (Raffel et al. 2020, §2.1): near keys one each, far ones by the
 * logarithm of their distance. With `n` buckets a direction and `e = n/2` of them exact, a key at distance `d` has
 *
 *     d < e:  d,   else  min(n − 1, e + ⌊ln(d/e)/ln(128/e)·(n − e)⌋),   and n more if it comes after the query
 *
 * @param length of query and keys, `L`
 * @param buckets of both directions, a multiple of 4
 * @returns int64 `[L, L]`, rows are queries
 */
export function relativePositionBuckets(length: number, buckets: number): HostTensor {
  const perDirection = buckets / 2;
  const byDistance = Array.from({ length }, (_, distance) => bucketOf(distance, perDirection));
  const data = new BigInt64Array(length * length);
  for (let query = 0, at = 0; query < length; query++) {
    for (let key = 0; key < length; key++, at++) {
      data[at] = BigInt((byDistance[Math.abs(key - query)] ?? 0) + (key > query ? perDirection : 0));
    }
  }
  return { dtype: 'int64', shape: [length, length], data };
}

/** Rounded to float32 at every step, as the original computes: at distances such as 64 the logarithms divide evenly. */
function bucketOf(distance: number, perDirection: number): number {
  const exact = perDirection / 2;
  if (distance < exact) return distance;
  const { fround, log } = Math;
  const part = fround(fround(log(fround(distance / exact))) / fround(log(maxDistance / exact)));
  return Math.min(exact + Math.floor(fround(part * (perDirection - exact))), perDirection - 1);
}
