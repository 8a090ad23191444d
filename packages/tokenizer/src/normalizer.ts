import { PrecompiledNormalizer, SequenceNormalizer, StripNormalizer, type Normalizer } from '@huggingface/tokenizers';
import { bytesOf } from './bytes.ts';
import { parseCharsmap, type Charsmap } from './charsmap.ts';
import { TokenizerError } from './errors.ts';

/**
 * The library's normalizer with its stand-in for SentencePiece's character map, an approximation by NFKC, replaced by
 * the map itself, and with Unicode's white space instead of JavaScript's.
 */
export function withCharsmap(normalizer: Normalizer | null): Normalizer | null {
  if (normalizer instanceof StripNormalizer) return new WhiteSpaceStrip(normalizer.config);
  if (normalizer instanceof PrecompiledNormalizer) {
    const encoded: unknown = normalizer.charsmap;
    return typeof encoded === 'string' && encoded !== '' ? new CharsmapNormalizer(encoded) : null;
  }
  if (normalizer instanceof SequenceNormalizer) normalizer.normalizers = normalizer.normalizers.map(withCharsmap);
  return normalizer;
}

class CharsmapNormalizer extends PrecompiledNormalizer {
  readonly #map: Charsmap;

  constructor(base64: string) {
    super({ type: 'Precompiled', precompiled_charsmap: '' });
    this.#map = parseCharsmap(fromBase64(base64));
  }

  override normalize(text: string): string {
    return applyCharsmap(this.#map, text);
  }
}

class WhiteSpaceStrip extends StripNormalizer {
  override normalize(text: string): string {
    const { strip_left: left = true, strip_right: right = true } = this.config as StripConfig;
    const start = left ? text.search(/\P{White_Space}/u) : 0;
    if (start < 0) return '';
    return right ? text.slice(start).replace(/\p{White_Space}+$/u, '') : text.slice(start);
  }
}

interface StripConfig {
  readonly strip_left?: boolean;
  readonly strip_right?: boolean;
}

/**
 * Replaces as Hugging Face's tokenizers does, which differs from SentencePiece's longest match: a grapheme of less
 * than 6 bytes becomes the replacement of its shortest key, all others are replaced character by character.
 */
export function applyCharsmap(map: Charsmap, text: string): string {
  let result = '';
  for (const { segment } of graphemes.segment(text)) {
    const whole = byteLength(segment) < 6 ? map.shortest(segment) : null;
    if (whole !== null) result += whole;
    else for (const character of segment) result += map.shortest(character) ?? character;
  }
  return result;
}

const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });

function byteLength(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function fromBase64(text: string): Uint8Array {
  try {
    return bytesOf(atob(text));
  } catch (cause) {
    throw new TokenizerError(
      'NOT_A_TOKENIZER',
      "The tokenizer's character map is not base64.",
      'Fetch tokenizer.json again.',
      { cause },
    );
  }
}
