import { bytesOf } from '../bytes.ts';
import type { ByteString } from './single-byte.ts';

/**
 * Strict UTF-8; null when the bytes are not. If byte ED or C0 occurs, also two common deviations: CESU-8 (a surrogate
 * pair as two sequences of three bytes) and Java's C0 80 for U+0000. A line break at the very end stands for a
 * missing last byte of either, as in ftfy.
 */
export function decodeUtf8(bytes: ByteString): string | null {
  if (!/[\u00ed\u00c0]/.test(bytes)) return decodeStrictly(bytes);
  let text = '';
  let start = 0;
  for (const match of bytes.matchAll(deviations)) {
    const before = decodeStrictly(bytes.slice(start, match.index));
    if (before === null) return null;
    text += before + (match[0].startsWith('\u00c0') ? '\0' : fromCesu8(match[0]));
    start = match.index + match[0].length;
  }
  const rest = decodeStrictly(bytes.slice(start));
  return rest === null ? null : text + rest;
}

const deviations =
  /\u00c0(?:\u0080|\n$)|\u00ed[\u00a0-\u00af][\u0080-\u00bf]\u00ed[\u00b0-\u00bf](?:[\u0080-\u00bf]|\n$)/g;

/** 11101101 1010abcd 10efghij 11101101 1011klmn 10opqrst: the bits a to t, plus 10000. */
function fromCesu8(bytes: ByteString): string {
  const bits = (index: number, mask: number, shift: number) => (bytes.charCodeAt(index) & mask) << shift;
  return String.fromCodePoint(0x10000 + bits(1, 0x0f, 16) + bits(2, 0x3f, 10) + bits(4, 0x0f, 6) + bits(5, 0x3f, 0));
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeStrictly(bytes: ByteString): string | null {
  try {
    return utf8.decode(bytesOf(bytes));
  } catch {
    return null;
  }
}
