import type { Architecture, ResolvedWeights } from '@musubi/models';
import type { ProductDtype } from '@musubi/onnx-graph';

/**
 * Which tensors of a checkpoint, by their names in it, products in float16 take: then they need half the memory and are
 * narrowed once. Norms, biases and the parts of a model that stay float32 are not among them.
 */
export function float16Weights<Config>(
  products: ProductDtype,
  { float32Parts }: Pick<Architecture<Config>, 'float32Parts'>,
  { weights }: Pick<ResolvedWeights<Config>, 'weights'>,
): (name: string) => boolean {
  if (products !== 'float16') return () => false;
  const entries = [...weights].filter(
    ([parameter, { shape }]) =>
      shape.length > 1 && parameter.endsWith('.weight') && !float32Parts.includes(parameter.split('.')[0] ?? ''),
  );
  const names = new Set(entries.map(([, { name }]) => name));
  return (name) => names.has(name);
}
