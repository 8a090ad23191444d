import type { OptionValues } from './option-values.ts';

/** How attention over the sequence is computed. */
export interface AttentionChoice {
  /** `auto`: in pieces where all scores at once would take too much of the memory. */
  readonly mode: 'auto' | 'whole' | 'chunked';
  /** Queries of a piece; null: as many as give no more than a few pieces. */
  readonly chunk: number | null;
}

/** What the options say of attention. */
export const toAttention = ({ numberOrNull, text }: Pick<OptionValues, 'numberOrNull' | 'text'>): AttentionChoice => ({
  mode: text('attn_mode') as AttentionChoice['mode'],
  chunk: numberOrNull('attn_chunk'),
});
