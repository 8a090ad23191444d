import { Model } from '@huggingface/tokenizers';
import type { UnigramJson } from './tokenizer-json.ts';

/**
 * The segmentation of a word into pieces with the largest sum of scores: Kudo, "Subword Regularization" (2018), by
 * Viterbi.
 *
 * It follows Hugging Face's tokenizers: a character that is no piece costs 10 more than the least score, several of
 * them in a row are one unknown piece, and with `byte_fallback` that becomes the bytes of its UTF-8.
 */
export class UnigramModel extends Model {
  readonly #scores: ReadonlyMap<string, number>;
  readonly #unknownScore: number;
  readonly #longest: number;
  readonly #byteFallback: boolean;

  constructor(json: UnigramJson) {
    super({ type: 'Unigram', vocab: [], unk_id: json.unk_id });
    this.vocab = json.vocab.map(([piece]) => piece);
    this.tokens_to_ids = new Map(json.vocab.map(([piece], id) => [piece, id]));
    this.unk_token_id = json.unk_id;
    this.unk_token = this.vocab[json.unk_id]!;
    this.#scores = new Map(json.vocab);
    this.#byteFallback = json.byte_fallback ?? false;
    let least = Infinity;
    let longest = 1;
    for (const [piece, score] of json.vocab) {
      least = Math.min(least, score);
      longest = Math.max(longest, piece.length);
    }
    this.#unknownScore = least - 10;
    this.#longest = longest;
  }

  override encode(words: string[]): string[] {
    return words.flatMap((word) => this.#segment(word)).flatMap((piece) => this.#toTokens(piece));
  }

  #segment(word: string): string[] {
    // best[end]: the largest score of a segmentation of word[0..end], and where its last piece starts.
    const best: ({ score: number; start: number; isUnknown: boolean } | undefined)[] = [];
    const offer = (start: number, end: number, score: number, isUnknown: boolean) => {
      const total = score + (best[start]?.score ?? 0);
      const known = best[end];
      if (known === undefined || total > known.score) best[end] = { score: total, start, isUnknown };
    };
    for (let start = 0; start < word.length;) {
      const next = start + (word.codePointAt(start)! > 0xffff ? 2 : 1);
      let isCharacterKnown = false;
      for (let end = next; end <= Math.min(word.length, start + this.#longest); end++) {
        const score = this.#scores.get(word.slice(start, end));
        if (score === undefined) continue;
        offer(start, end, score, false);
        isCharacterKnown ||= end === next;
      }
      if (!isCharacterKnown) offer(start, next, this.#unknownScore, true);
      start = next;
    }
    return fuseUnknown(word, best);
  }

  #toTokens(piece: string): string[] {
    if (!this.#byteFallback || this.tokens_to_ids.has(piece)) return [piece];
    const bytes = [...new TextEncoder().encode(piece)].map(
      (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
    );
    return bytes.every((token) => this.tokens_to_ids.has(token)) ? bytes : [piece];
  }
}

function fuseUnknown(
  word: string,
  best: readonly ({ readonly start: number; readonly isUnknown: boolean } | undefined)[],
): string[] {
  const pieces: string[] = [];
  let wasUnknown = false;
  for (let end = word.length; end > 0;) {
    const { start, isUnknown } = best[end]!;
    const piece = word.slice(start, end);
    if (isUnknown && wasUnknown) pieces[pieces.length - 1] = piece + pieces.at(-1)!;
    else pieces.push(piece);
    wasUnknown = isUnknown;
    end = start;
  }
  return pieces.toReversed();
}
