import { readFileSync } from 'node:fs';

export interface FixtureJson {
  readonly model: { readonly vocab: readonly (readonly [string, number])[] };
  readonly added_tokens: readonly object[];
  readonly [part: string]: unknown;
}

export const fixtures = new URL('fixtures/', import.meta.url);

function read<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, fixtures), 'utf8')) as T;
}

export const tokenizerJson = read<FixtureJson>('tokenizer.json');
export const tokenizerConfig = read<object>('tokenizer_config.json');
export const spieceModel = new Uint8Array(readFileSync(new URL('spiece.model', fixtures)));

/** Texts with SentencePiece's ids, without the end token. */
export const sentencePieceCases = read<{ cases: { text: string; ids: number[] }[] }>('sentencepiece-ids.json').cases;

/** Hugging Face's ids of the same texts, for tokenizer.json as it is and with other parts. */
export const huggingFaceCases = read<{
  cases: { name: string; changes: object; model: object; ids: number[][] }[];
}>('huggingface-ids.json').cases;
