/** Random access to the bytes of one file. `./node` has one for files; here are those for memory and for a Blob. */
export interface ByteSource {
  /** what errors call it; in Node the path of the file */
  readonly name: string;
  /** bytes */
  readonly size: number;
  /** `length` fresh bytes from `offset`; fewer only where the file has become shorter than `size` */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Bytes in memory. `read` copies, so nobody writes into `bytes` through a tensor. */
export function bytesSource(bytes: Uint8Array, name = 'bytes'): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: async (offset, length) => new Uint8Array(bytes.subarray(offset, offset + length)),
    close: async () => {},
  };
}

/** A file that someone dropped on a web page, or any other Blob; only the ranges asked for are read. */
export function blobSource(blob: Blob, name = 'blob'): ByteSource {
  return {
    name,
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
    close: async () => {},
  };
}
