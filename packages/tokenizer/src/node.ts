export { openTokenizer } from './node/open-tokenizer.ts';
export type { OpenedTokenizer, OpenTokenizerOptions } from './node/open-tokenizer.ts';
export type { Environment } from './node/hub-settings.ts';
