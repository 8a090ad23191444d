import type { ExternalContent, SessionRequest } from '../types.ts';

import { RuntimeError } from '../error.ts';
import { type ExternalTensor, assertLongEnough, externalTensors } from '../external-data.ts';
import { lazyBytes } from './lazy-bytes.ts';

/**
 * The same request with all external data as what onnxruntime-web takes for bytes.
 *
 * onnxruntime-web itself would read a whole Blob into memory and then copy each weight out of it. Here each weight is read
 * when it is asked for: in a worker from the disk to where it belongs, on the main thread, where nothing can be read
 * without waiting, all weights before the session is created.
 *
 * @throws {RuntimeError} `EXTERNAL_FILE_MISSING`, `EXTERNAL_FILE_TOO_SHORT`, `BAD_OPTION`
 */
export async function openContents(request: SessionRequest): Promise<SessionRequest> {
  const { externalData, label } = request;
  if (!externalData) return request;
  const tensors = externalTensors(request.model);
  const opened = await Promise.all(
    Object.entries(externalData).map(async ([location, content]) => {
      const used = tensors.filter((tensor) => tensor.location === location);
      return [location, await open(content, location, used, label)] as const;
    }),
  );
  return { ...request, externalData: Object.fromEntries(opened) };
}

async function open(
  content: ExternalContent,
  location: string,
  tensors: readonly ExternalTensor[],
  label: string | undefined,
): Promise<Uint8Array> {
  const opened = content instanceof Uint8Array || content instanceof Blob ? content : await download(content, label);
  const size = opened instanceof Blob ? opened.size : opened.byteLength;
  assertLongEnough(tensors, location, size, label);
  if (opened instanceof Uint8Array) return opened;
  const { FileReaderSync: Reader } = globalThis as WorkerGlobals;
  return Reader ? readLate(opened, new Reader()) : readAhead(opened, tensors);
}

/** The file behind a URL as a Blob: of all that holds bytes in a browser, only this need not be in memory. */
async function download(content: Exclude<ExternalContent, Uint8Array | Blob>, label?: string): Promise<Blob> {
  const { url, range } = typeof content === 'string' ? { url: content, range: undefined } : content;
  const missing = (why: string, cause?: unknown) =>
    new RuntimeError(
      'EXTERNAL_FILE_MISSING',
      `the weights at ${url} cannot be loaded: ${why}.`,
      'Check the address, and that its server allows this page to read it.',
      { label, path: url },
      { cause },
    );
  const headers = range ? { Range: `bytes=${range[0]}-${range[1] - 1}` } : undefined;
  try {
    const response = await fetch(url, headers ? { headers } : {});
    if (!response.ok) throw missing(`the server answers ${response.status} ${response.statusText}`.trimEnd());
    const blob = await response.blob();
    // a server may send the whole file instead
    return range && response.status !== 206 ? blob.slice(...range) : blob;
  } catch (cause) {
    throw cause instanceof RuntimeError
      ? cause
      : missing(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** What the types of a page lack: only workers may read without waiting. */
interface WorkerGlobals {
  readonly FileReaderSync?: new () => SyncReader;
}
interface SyncReader {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

function readLate(blob: Blob, reader: SyncReader): Uint8Array {
  return lazyBytes(blob.size, (start, end) => new Uint8Array(reader.readAsArrayBuffer(blob.slice(start, end))));
}

async function readAhead(blob: Blob, tensors: readonly ExternalTensor[]): Promise<Uint8Array> {
  const isOpenEnded = tensors.some(({ length }) => length === undefined);
  if (isOpenEnded) return new Uint8Array(await blob.arrayBuffer());
  const read = new Map<string, Uint8Array>();
  for (const { offset, length = 0 } of tensors) {
    const key = `${offset}:${offset + length}`;
    if (!read.has(key)) read.set(key, new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()));
  }
  return lazyBytes(blob.size, (start, end) => {
    const bytes = read.get(`${start}:${end}`);
    if (bytes) return bytes;
    throw new RuntimeError('INTERNAL', `internal: bytes ${start} to ${end} were not read.`, 'Please report it.');
  });
}
