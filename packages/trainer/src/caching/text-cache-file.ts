import type { CacheContents } from './stored-values.ts';

/** Data of text caches start at a multiple of this. */
const alignment = 256;

/**
 * The bytes of a text cache file: safetensors as the original writes it there, not in the canonical form of
 * `@musubi/safetensors`. The header is JSON as Python prints it, in ASCII, filled with spaces until data start at a
 * multiple of 256; tensors keep their order.
 */
export function encodeTextCache({ tensors, metadata }: Pick<CacheContents, 'tensors' | 'metadata'>): Uint8Array {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape, data }) => {
    const begin = end;
    end += data.byteLength;
    const entry = `{"dtype": "${dtype}", "shape": [${shape.join(', ')}], "data_offsets": [${begin}, ${end}]}`;
    return `${quote(name)}: ${entry}`;
  });
  const texts = Object.entries(metadata).map(([key, text]) => `${quote(key)}: ${quote(text)}`);
  const json = `{${[`"__metadata__": {${texts.join(', ')}}`, ...entries].join(', ')}}`;

  const start = Math.ceil((8 + json.length) / alignment) * alignment;
  const file = new Uint8Array(start + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  file.set(new TextEncoder().encode(json.padEnd(start - 8)), 8);
  let offset = start;
  for (const { data } of tensors) {
    file.set(data, offset);
    offset += data.byteLength;
  }
  return file;
}

/** A text in quotes with everything but printable ASCII escaped. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
