import { TokenizerError } from './errors.ts';

/** The replacements of a SentencePiece model: what begins with one of its keys becomes that key's text. */
export interface Charsmap {
  /** Replacement for the shortest key that the text begins with; null when there is none. */
  shortest(text: string): string | null;
}

/**
 * Reads SentencePiece's precompiled character map: 4 bytes size, a double-array trie of that size (Darts-clone) from
 * keys to positions in what follows, then all replacements, each with a zero byte behind it. All numbers
 * little-endian.
 *
 * @throws {TokenizerError} `NOT_A_TOKENIZER` when the sizes do not fit; a trie that leads outside simply has no such
 *   key
 */
export function parseCharsmap(bytes: Uint8Array): Charsmap {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const trieBytes = bytes.length < 4 ? -1 : view.getUint32(0, true);
  if (trieBytes < 4 || trieBytes % 4 !== 0 || trieBytes > bytes.length - 4) {
    throw new TokenizerError(
      'NOT_A_TOKENIZER',
      `The tokenizer's character map is damaged: ${bytes.length} bytes, of which its trie should take ${trieBytes}.`,
      'Fetch the file again.',
    );
  }
  const units = new Uint32Array(trieBytes / 4);
  for (let i = 0; i < units.length; i++) units[i] = view.getUint32(4 + 4 * i, true);
  const replacements = bytes.subarray(4 + trieBytes);
  const known = new Map<string, string | null>();
  return {
    shortest(text) {
      let found = known.get(text);
      if (found === undefined) {
        const position = shortestMatch(units, encoder.encode(text));
        found = position === null ? null : textAt(replacements, position);
        known.set(text, found);
      }
      return found;
    },
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The value of the shortest prefix of `key` in the trie. A unit holds a label, an offset and whether a value follows.
 */
function shortestMatch(units: Uint32Array, key: Uint8Array): number | null {
  let position = offset(units[0]!);
  for (const byte of key) {
    position ^= byte;
    const unit = units[position];
    if (unit === undefined || byte === 0 || label(unit) !== byte) return null;
    position ^= offset(unit);
    if ((unit >>> 8) & 1) return (units[position] ?? 0) & 0x7fffffff;
  }
  return null;
}

function label(unit: number): number {
  return (unit & 0x800000ff) >>> 0;
}

function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function textAt(bytes: Uint8Array, position: number): string {
  const end = bytes.indexOf(0, position);
  return decoder.decode(bytes.subarray(position, end < 0 ? undefined : end));
}
