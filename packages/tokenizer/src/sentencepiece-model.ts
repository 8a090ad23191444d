import { TokenizerError } from './errors.ts';
import { protobufFields } from './protobuf.ts';

/** What of a SentencePiece model makes a tokenizer. */
export interface SentencePieceModel {
  readonly pieces: readonly SentencePiece[];
  readonly unknownId: number;
  /** Precompiled replacements of characters; empty when there are none. */
  readonly charsmap: Uint8Array;
}

export interface SentencePiece {
  readonly piece: string;
  readonly score: number;
  readonly type: 'normal' | 'unknown' | 'control' | 'user defined' | 'unused' | 'byte';
}

/**
 * Reads a `spiece.model` file, a `ModelProto` of SentencePiece.
 *
 * @throws {TokenizerError} `NOT_A_TOKENIZER`; `UNSUPPORTED_TOKENIZER` when it is not a Unigram model
 */
export function parseSentencePieceModel(bytes: Uint8Array): SentencePieceModel {
  let model: SentencePieceModel;
  let modelType = unigram;
  try {
    const pieces: SentencePiece[] = [];
    let unknownId = 0;
    let charsmap: Uint8Array = new Uint8Array();
    for (const { number, value } of protobufFields(bytes)) {
      if (number === 1) pieces.push(readPiece(bytesOf(value)));
      if (number === 2) ({ modelType, unknownId } = readTrainerSpec(bytesOf(value)));
      if (number === 3) charsmap = readCharsmap(bytesOf(value));
    }
    model = { pieces, unknownId, charsmap };
    if (pieces.length === 0) throw new RangeError('it has no pieces');
    if (unknownId >= pieces.length) throw new RangeError(`its unknown piece is ${unknownId} of ${pieces.length}`);
  } catch (cause) {
    const what = `This is not a SentencePiece model: ${(cause as Error).message}.`;
    throw new TokenizerError('NOT_A_TOKENIZER', what, 'Fetch spiece.model again, or give tokenizer.json.', { cause });
  }
  if (modelType === unigram) return model;
  throw new TokenizerError(
    'UNSUPPORTED_TOKENIZER',
    `This SentencePiece model is of type ${modelType}, not Unigram (${unigram}).`,
    'Give the tokenizer of the text encoder; for Wan that is google/umt5-xxl.',
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const unigram = 1;
const types = ['normal', 'unknown', 'control', 'user defined', 'unused', 'byte'] as const;

function readPiece(message: Uint8Array): SentencePiece {
  let piece = '';
  let score = 0;
  let type = 1;
  for (const { number, value } of protobufFields(message)) {
    if (number === 1) piece = utf8.decode(bytesOf(value));
    if (number === 2) score = floatOf(bytesOf(value));
    if (number === 3) type = numberOf(value);
  }
  const name = types[type - 1];
  if (piece === '' || !Number.isFinite(score) || name === undefined) throw new RangeError('a piece is damaged');
  return { piece, score, type: name };
}

function readTrainerSpec(message: Uint8Array): { modelType: number; unknownId: number } {
  let modelType = unigram;
  let unknownId = 0;
  for (const { number, value } of protobufFields(message)) {
    if (number === 3) modelType = numberOf(value);
    if (number === 40) unknownId = numberOf(value);
  }
  return { modelType, unknownId };
}

function readCharsmap(normalizerSpec: Uint8Array): Uint8Array {
  let charsmap: Uint8Array = new Uint8Array();
  for (const { number, value } of protobufFields(normalizerSpec)) if (number === 2) charsmap = bytesOf(value);
  return charsmap;
}

function bytesOf(value: number | Uint8Array): Uint8Array {
  if (typeof value === 'number') throw new RangeError('a number stands where bytes should');
  return value;
}

function numberOf(value: number | Uint8Array): number {
  if (typeof value !== 'number') throw new RangeError('bytes stand where a number should');
  return value;
}

function floatOf(bytes: Uint8Array): number {
  if (bytes.length !== 4) throw new RangeError('a score is damaged');
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
}
