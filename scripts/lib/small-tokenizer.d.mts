/** Contents of tokenizer.json and tokenizer_config.json. */
export interface SmallTokenizer {
  readonly tokenizerJson: { readonly model: { readonly vocab: readonly (readonly [piece: string, score: number])[] } };
  readonly tokenizerConfig: object;
}

export function smallTokenizer(captions: readonly string[]): SmallTokenizer;
