import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { MessagePort } from 'node:worker_threads';
import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { decodeFp8, encodeFp8 } from '../codec.ts';
import { Fp8Error } from '../errors.ts';
import { FP8_FORMATS } from '../formats.ts';
import type { Fp8Format } from '../formats.ts';
import { int8Blocks, int8ScaleBytes } from '../int8.ts';
import { WINDOW } from '../internal/engine.ts';
import { sharedEngine } from '../internal/shared-engine.ts';
import { dequantizeStream, quantizeStream } from '../internal/stream.ts';
import type { ReadBytes, WriteBytes } from '../internal/stream.ts';
import type { WeightDtype } from '../internal/weight-dtype.ts';
import type { Bytes, Measured, Reply, Task, WorkerStart } from './protocol.ts';

/**
 * Does tasks one after another, with reads and writes that block this thread: files to engine to file, without a copy. `end`
 * closes the files and is answered too; the thread then waits to be terminated, since not every runtime has `port.close`.
 */
export function serve(port: MessagePort, start: WorkerStart): void {
  const files = openFiles(start);
  port.on('message', (task: Task | 'end') => {
    if (task === 'end') files.close();
    port.postMessage(task === 'end' ? { measured: null } : answer(task, files));
  });
}

type Files = ReturnType<typeof openFiles>;

function answer(task: Task, files: Files): Reply {
  try {
    return { measured: work(task, files) };
  } catch (error) {
    const { name: tensor } = task;
    if (error instanceof Fp8Error) {
      const { code, remedy, file } = error;
      const problem = error.message.slice(0, -remedy.length - 1);
      return { failed: { code, problem, remedy, tensor, ...(file === undefined ? {} : { file }) } };
    }
    const problem = `internal: ${error instanceof Error ? error.message : String(error)} (${tensor}).`;
    return { failed: { code: 'INTERNAL', problem, remedy: 'Please report it.', tensor } };
  }
}

function work(task: Task, files: Files): Measured | null {
  const engine = sharedEngine();
  switch (task.kind) {
    case 'copy': {
      const write = files.writer(task.to);
      const read = files.reader(task.from);
      for (let done = 0; done < task.length; done += WINDOW) {
        const piece = engine.raw.subarray(0, Math.min(WINDOW, task.length - done));
        read(piece, done);
        write(piece);
      }
      return null;
    }
    case 'quantize': {
      const quantized = quantizeStream(engine, task, files.reader(task.from), files.writer(task.codesTo));
      files.writer(task.scaleTo)(fromFloat32(quantized.scales, task.scaleDtype));
      const { relativeError, squaredNorm } = quantized;
      return { relativeError, squaredNorm };
    }
    case 'int8': {
      const { name, dtype } = task;
      const writeCodes = files.writer(task.codesTo);
      const writeScales = files.writer(task.scaleTo);
      let [norm, distance] = [0, 0];
      forEachPiece(task, files.reader(task.from), (bytes) => {
        const { codes, scales, squaredNorm, squaredDistance } = int8Blocks(toFloat32(bytes, dtype), name);
        writeCodes(codes);
        writeScales(int8ScaleBytes(scales));
        norm += squaredNorm;
        distance += squaredDistance;
      });
      return { relativeError: norm === 0 ? 0 : Math.sqrt(distance / norm), squaredNorm: norm };
    }
    case 'cast': {
      const { name, dtype, format } = task;
      const write = files.writer(task.to);
      let [norm, distance] = [0, 0];
      forEachPiece(task, files.reader(task.from), (bytes) => {
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
    case 'widen': {
      const write = files.writer(task.to);
      forEachPiece(task, files.reader(task.from), (bytes) => write(fromFloat32(toFloat32(bytes, task.dtype), 'F32')));
      return null;
    }
    case 'dequantize': {
      const stored = new Uint8Array(task.grouping.groups * (task.dtype === 'F32' ? 4 : 2));
      files.reader(task.scale)(stored, 0);
      const scales = toFloat32(stored, task.dtype);
      dequantizeStream(engine, task, scales, files.reader(task.codes), files.writer(task.to));
      return null;
    }
  }
}

/** Numbers taken at a time: whole blocks, few megabytes. */
const pieceLength = 1 << 20;

/** Calls `take` with the bytes of a tensor, some numbers at a time. */
function forEachPiece(
  { dtype, count }: { readonly dtype: WeightDtype; readonly count: number },
  read: ReadBytes,
  take: (bytes: Uint8Array) => void,
): void {
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

/** The files of this thread: those it reads are opened when they are first needed. */
function openFiles({ output, outputName }: WorkerStart) {
  const inputs = new Map<string, number>();
  const target = attempt(outputName, 'WRITE_FAILED', () => openSync(output, 'r+'));

  const reader = (from: Bytes): ReadBytes => {
    if ('data' in from) {
      return (into, first) => into.set(from.data.subarray(first, first + into.byteLength));
    }
    const { file, offset } = from;
    const known = inputs.get(file);
    const input = known ?? attempt(file, 'READ_FAILED', () => openSync(file, 'r'));
    inputs.set(file, input);
    return (into, first) => {
      for (let done = 0; done < into.byteLength;) {
        const count = attempt(file, 'READ_FAILED', () =>
          readSync(input, into, done, into.byteLength - done, offset + first + done),
        );
        if (count === 0) throw cutOff(file);
        done += count;
      }
    };
  };
  const writer = (to: number): WriteBytes => {
    let position = to;
    return (bytes) => {
      for (let done = 0; done < bytes.byteLength;) {
        const count = attempt(outputName, 'WRITE_FAILED', () =>
          writeSync(target, bytes, done, bytes.byteLength - done, position),
        );
        done += count;
        position += count;
      }
    };
  };
  const close = () => [...inputs.values(), target].forEach((file) => closeSync(file));
  return { reader, writer, close };
}

function attempt<T>(file: string, code: 'READ_FAILED' | 'WRITE_FAILED', action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const found = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    const remedy = found === 'ENOSPC' ? 'The disk is full: free some space.' : 'Check the disk and try again.';
    const what = code === 'READ_FAILED' ? 'reading' : 'writing';
    throw new Fp8Error(code, `${file}: ${what} failed (${found}).`, remedy, { file, found, cause });
  }
}

function cutOff(file: string): Fp8Error {
  const remedy = 'Do not change files that are in use.';
  return new Fp8Error('READ_FAILED', `${file}: the file became shorter while it was open.`, remedy, { file });
}
