import type { MixedPrecision } from '@musubi/config';
import type { ProductDtype } from '@musubi/onnx-graph';
import type { Provider } from '@musubi/runtime';

import { multipliesIn } from '@musubi/runtime';

/** Tries a small model whose product has this number type; where it does not work, `reason` says why. */
export type TryProducts = (dtype: ProductDtype) => Promise<{ readonly state: string; readonly reason: string | null }>;

const dtypes = { no: 'float32', fp16: 'float16', bf16: 'bfloat16' } as const;

/**
 * The number type of matrix products for `--mixed_precision` on a device: the one asked for where the provider has it and a
 * small model in it works, else float32. One line says which, and why.
 */
export async function chooseProducts(
  asked: MixedPrecision | null,
  provider: Provider,
  tryProducts: TryProducts,
  logger: (line: string) => void,
): Promise<ProductDtype> {
  const dtype = dtypes[asked ?? 'no'];
  if (dtype === 'float32') return dtype;
  const inFloat32 = (why: string): ProductDtype => {
    logger(`mixed_precision ${asked}: ${why}, so all is computed in float32.`);
    return 'float32';
  };
  if (!multipliesIn(provider, dtype)) {
    const other = dtype === 'bfloat16' && multipliesIn(provider, 'float16') ? ', only fp16' : '';
    return inFloat32(`${provider} has no products in this type${other}`);
  }
  const { state, reason } = await tryProducts(dtype);
  if (state !== 'works') return inFloat32(`${provider} cannot be used with it here (${reason ?? state})`);
  const scaled = dtype === 'float16' ? ', with a loss scale' : '';
  logger(`mixed_precision ${asked}: matrix products in ${dtype}, all else in float32${scaled}.`);
  return dtype;
}
