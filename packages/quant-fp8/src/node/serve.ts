import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { MessagePort } from 'node:worker_threads';
import { toFloat32 } from '@musubi/safetensors';
import { Fp8Error } from '../errors.ts';
import { sharedEngine } from '../internal/shared-engine.ts';
import { dequantizeStream } from '../internal/stream.ts';
import type { ReadBytes, WriteBytes } from '../internal/stream.ts';
import { doWork } from '../internal/work.ts';
import type { Measured } from '../internal/work.ts';
import type { Bytes, Reply, Task, WorkerStart } from './protocol.ts';

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
  if (task.kind !== 'dequantize') {
    const { reader, writer } = files;
    return doWork(task, { read: reader(task.from), write: writer(task.to), writeScale: writer(task.scaleTo) });
  }
  const stored = new Uint8Array(task.grouping.groups * (task.dtype === 'F32' ? 4 : 2));
  files.reader(task.scale)(stored, 0);
  const scales = toFloat32(stored, task.dtype);
  dequantizeStream(sharedEngine(), task, scales, files.reader(task.codes), files.writer(task.to));
  return null;
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
