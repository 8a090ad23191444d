/** How a file of PyTorch begins: today's zip archive, the pickles before version 1.6, the tar archive before 0.1.10. */
export type PthKind = 'zip' | 'pickles' | 'tar';

const ZIP = [0x50, 0x4b, 0x03, 0x04];

/** Protocol 2, then the magic number 0x1950a86a20f9469cfc6c. */
const PICKLES = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

const TAR = [0x75, 0x73, 0x74, 0x61, 0x72]; // "ustar"
const TAR_OFFSET = 257;

/**
 * What kind of PyTorch file begins with these bytes; null for all others.
 *
 * @param start the first 512 bytes, or all of a shorter file
 */
export function recognisePth(start: Uint8Array): PthKind | null {
  const has = (bytes: readonly number[], offset = 0) => bytes.every((byte, i) => start[offset + i] === byte);
  // A safetensors file may have a header whose length begins with the letters of a zip archive.
  if (has(ZIP) && !has([0, 0, 0, 0, 0x7b], 4)) return 'zip';
  if (has(PICKLES)) return 'pickles';
  return has(TAR, TAR_OFFSET) ? 'tar' : null;
}
