import { serializeSafetensors } from '@musubi/safetensors';
import type { TensorStore } from '@musubi/safetensors';
import { quantizeEach } from './internal/quantize-each.ts';
import { metadataOf, planStore } from './plan-store.ts';
import type { QuantizationReport } from './plan.ts';
import type { QuantizeTensorsOptions } from './quantize-tensors.ts';

export interface QuantizeToBlobOptions extends QuantizeTensorsOptions {
  /** of the new file, beside those of the store */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * The file that `quantizeStore` of `./node` writes, byte for byte, as a Blob of parts: a tensor is read and quantized, its
 * part made, and only then the next one read. Browsers keep the parts of large Blobs on disk, so that a page needs memory for
 * its largest tensor.
 *
 * @throws {Fp8Error} as `quantizeTensors`; the reason of `signal`
 */
export async function quantizeToBlob(
  store: Pick<TensorStore, 'tensors' | 'metadata' | 'read'>,
  options: QuantizeToBlobOptions,
): Promise<{ readonly blob: Blob; readonly report: QuantizationReport }> {
  const plan = planStore(store.tensors, options);
  const { header, order } = serializeSafetensors(plan.outlines, metadataOf(store, options.metadata));
  const parts = new Map<string, Blob>();
  const report = await quantizeEach(store, plan, options, (name, bytes) => {
    parts.set(name, new Blob([bytes as BlobPart]));
  });
  return { blob: new Blob([header as BlobPart, ...order.map(({ tensor }) => parts.get(tensor.name)!)]), report };
}
