import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { decodeFp8, encodeFp8 } from '../codec.ts';
import { Fp8Error } from '../errors.ts';
import { FP8_FORMATS } from '../formats.ts';
import type { Fp8Format } from '../formats.ts';
import type { Grouping } from '../grouping.ts';
import { int8Blocks, int8ScaleBytes } from '../int8.ts';
import { WINDOW } from './engine.ts';
import { sharedEngine } from './shared-engine.ts';
import { quantizeStream } from './stream.ts';
import type { ReadBytes, WriteBytes } from './stream.ts';
import type { WeightDtype } from './weight-dtype.ts';

interface Numbers {
  readonly name: string;
  readonly dtype: WeightDtype;
  readonly count: number;
}

/** What is done to one tensor. */
export type Work =
  | { readonly kind: 'copy'; readonly name: string; readonly length: number }
  | {
      readonly kind: 'quantize';
      readonly name: string;
      readonly dtype: WeightDtype;
      readonly format: Fp8Format;
      readonly grouping: Grouping;
      /** in which scales are stored; they are rounded to that of the weight */
      readonly scaleDtype: WeightDtype;
    }
  | ({ readonly kind: 'int8' } & Numbers)
  | ({ readonly kind: 'cast'; readonly format: Fp8Format } & Numbers)
  | ({ readonly kind: 'widen' } & Numbers);

/** The bytes of a tensor, and where its new bytes and its scales go, in order. */
export interface WorkBytes {
  readonly read: ReadBytes;
  readonly write: WriteBytes;
  readonly writeScale: WriteBytes;
}

/** What is known of a weight once it is quantized. */
export interface Measured {
  readonly relativeError: number;
  readonly squaredNorm: number;
}

/**
 * Does a tensor's work, a few megabytes at a time.
 *
 * @returns null for a tensor that keeps its numbers
 * @throws {Fp8Error} `NOT_FINITE`
 */
export function doWork(work: Work, { read, write, writeScale }: WorkBytes): Measured | null {
  const engine = sharedEngine();
  switch (work.kind) {
    case 'copy': {
      for (let done = 0; done < work.length; done += WINDOW) {
        const piece = engine.raw.subarray(0, Math.min(WINDOW, work.length - done));
        read(piece, done);
        write(piece);
      }
      return null;
    }
    case 'quantize': {
      const { scales, relativeError, squaredNorm } = quantizeStream(engine, work, read, write);
      writeScale(fromFloat32(scales, work.scaleDtype));
      return { relativeError, squaredNorm };
    }
    case 'int8': {
      const { name, dtype } = work;
      let [norm, distance] = [0, 0];
      forEachPiece(work, read, (bytes) => {
        const { codes, scales, squaredNorm, squaredDistance } = int8Blocks(toFloat32(bytes, dtype), name);
        write(codes);
        writeScale(int8ScaleBytes(scales));
        norm += squaredNorm;
        distance += squaredDistance;
      });
      return { relativeError: norm === 0 ? 0 : Math.sqrt(distance / norm), squaredNorm: norm };
    }
    case 'cast': {
      const { name, dtype, format } = work;
      let [norm, distance] = [0, 0];
      forEachPiece(work, read, (bytes) => {
        const values = toFloat32(bytes, dtype);
        const codes = encodeFp8(values, format);
        const back = decodeFp8(codes, format);
        for (let i = 0; i < values.length; i++) {
          if (!Number.isFinite(back[i]!)) throw outOfRange(name, values[i]!, format);
          norm += values[i]! ** 2;
          distance += (values[i]! - back[i]!) ** 2;
        }
        write(codes);
      });
      return { relativeError: norm === 0 ? 0 : Math.sqrt(distance / norm), squaredNorm: norm };
    }
    case 'widen':
      forEachPiece(work, read, (bytes) => write(fromFloat32(toFloat32(bytes, work.dtype), 'F32')));
      return null;
  }
}

/** Numbers taken at a time: whole blocks, few megabytes. */
const pieceLength = 1 << 20;

/** Calls `take` with the bytes of a tensor, some numbers at a time. */
function forEachPiece({ dtype, count }: Numbers, read: ReadBytes, take: (bytes: Uint8Array) => void): void {
  const width = dtype === 'F32' ? 4 : 2;
  const buffer = new Uint8Array(Math.min(pieceLength, count) * width);
  for (let done = 0; done < count; done += pieceLength) {
    const bytes = buffer.subarray(0, Math.min(pieceLength, count - done) * width);
    read(bytes, done * width);
    take(bytes);
  }
}

function outOfRange(tensor: string, value: number, format: Fp8Format): Fp8Error {
  const { max } = FP8_FORMATS[format];
  return new Fp8Error(
    'NOT_FINITE',
    `${tensor} holds ${value}, which ${format} has no number for: its largest is ${max}.`,
    'Use scaled FP8 (--fp8_scaled) or 8-bit integers (--int8_base) instead of a plain cast.',
    { tensor, found: value },
  );
}
