import { encodeSafetensors, serializeSafetensors } from '@musubi/safetensors';
import type { TensorToWrite } from '@musubi/safetensors';
import { LoraError } from './errors.ts';

/** The range of a file that the older hash covers. */
const LEGACY_START = 0x100000;
const LEGACY_LENGTH = 0x10000;

export interface HashedTensors {
  /** the same tensors with their data fixed as they were hashed */
  readonly tensors: readonly TensorToWrite[];
  /** SHA-256 of the tensor data, 64 hex digits */
  readonly sshs_model_hash: string;
  /** first 8 hex digits of the SHA-256 of 64 KiB at 1 MiB of the file with `ss_` metadata only */
  readonly sshs_legacy_hash: string;
}

/**
 * The two hashes by which web interfaces recognise an adapter. They do not depend on metadata outside of `ss_`.
 *
 * @throws {LoraError} `SHA256_UNAVAILABLE` on a web page that is neither https nor localhost
 */
export async function hashTensors(
  given: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): Promise<HashedTensors> {
  const kept = Object.fromEntries(Object.entries(metadata).filter(([key]) => key.startsWith('ss_')));
  const { header, order } = serializeSafetensors(given, { metadata: kept });
  const file = await encodeSafetensors(given, { metadata: kept });
  const legacy = await sha256(file.subarray(LEGACY_START, LEGACY_START + LEGACY_LENGTH));
  return {
    tensors: order.map(({ tensor, offset, byteLength }) => ({
      ...tensor,
      data: file.subarray(offset, offset + byteLength),
    })),
    sshs_model_hash: await sha256(file.subarray(header.byteLength)),
    sshs_legacy_hash: legacy.slice(0, 8),
  };
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const subtle = (globalThis.crypto as Crypto | undefined)?.subtle;
  if (!subtle) {
    const remedy = 'Open the page over https or from localhost.';
    throw new LoraError('SHA256_UNAVAILABLE', 'the hashes of the file cannot be computed here.', remedy);
  }
  const digest = await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
