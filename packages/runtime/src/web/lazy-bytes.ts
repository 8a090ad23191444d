/**
 * What onnxruntime-web takes for the bytes of a file, though nothing is read before it is asked for. For each weight it
 * looks at `byteLength` and copies `subarray(start, end)` into its own memory, or onto the GPU; it uses nothing else.
 *
 * @param size of the file, in bytes
 */
export function lazyBytes(size: number, read: (start: number, end: number) => Uint8Array): Uint8Array {
  return Object.defineProperties(new Uint8Array(0), {
    byteLength: { value: size },
    subarray: { value: read },
  });
}
