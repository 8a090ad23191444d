export { cleanText } from './clean-text.ts';
export { fixText } from './ftfy/fix-text.ts';
export { assertVocabularyFits, createTokenizer } from './create-tokenizer.ts';
export type { CreateTokenizerOptions, Tokenizer } from './create-tokenizer.ts';
export { convertSentencePiece } from './convert-sentencepiece.ts';
export { TokenizerError, tokenizerErrorCodes } from './errors.ts';
export type { TokenizerErrorCode, TokenizerErrorFacts } from './errors.ts';
