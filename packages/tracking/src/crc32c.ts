/**
 * CRC-32C (Castagnoli) of RFC 3720, appendix B.4: reflected polynomial 0x82F63B78, start and final xor 0xFFFFFFFF.
 *
 * @returns unsigned 32-bit number; `crc32c` of the text "123456789" is 0xE3069283
 */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * The CRC as TFRecord files store it: rotated, and a constant added, so that a CRC over data that holds CRCs stays strong.
 *
 *     ((crc >> 15) | (crc << 17)) + 0xA282EAD8
 */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0x82f63b78 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});
