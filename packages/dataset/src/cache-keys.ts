/** What a tensor in a cache file is to a batch. */
export interface CacheContent {
  /** Name in the batch, e.g. `latents`, `latents_control_0`, `t5`. */
  readonly name: string;
  /** One tensor an item stays in a list (its length differs from item to item); otherwise items are stacked. */
  readonly isList: boolean;
}

/**
 * Name in the batch of a cache file's tensor: without `varlen_` (a list), without the data type, and for latents without
 * the size; masks (`…_mask`) have no data type in their name.
 *
 *     latents_1x12x16_bfloat16 → latents,   varlen_t5_bfloat16 → t5 (list),   llm_mask → llm_mask
 */
export function cacheContent(key: string): CacheContent {
  const isList = key.startsWith('varlen_');
  const written = isList ? key.replaceAll('varlen_', '') : key;
  if (written.endsWith('_mask')) return { name: written, isList };
  const name = withoutDtype(written);
  return { name: name.startsWith('latents_') ? name.slice(0, name.lastIndexOf('_')) : name, isList };
}

/** Removes the longest data type name at the end, so that `float8_e4m3fn` goes as a whole. */
export function withoutDtype(key: string): string {
  const dtype = dtypeNames.find((name) => key.endsWith(`_${name}`));
  return dtype === undefined ? key : key.slice(0, -dtype.length - 1);
}

/** PyTorch's names of data types, longest first. */
const dtypeNames = (
  'float64 float32 float16 bfloat16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool ' +
  'complex32 complex64 complex128 qint8 quint8 qint32 quint4x2 quint2x4 ' +
  'float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2'
)
  .split(' ')
  .toSorted((a, b) => b.length - a.length);
