import { kernelsWasm } from './kernels-wasm.ts';

/** The functions of kernels.wat; all arguments but the last two of `averageColumns` are pointers or counts. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  sumRows(sums: number, rows: number, stride: number, weights: number, taps: number): void;
  averageColumns(
    out: number,
    sums: number,
    starts: number,
    weights: number,
    count: number,
    taps: number,
    channels: number,
    whole: number,
    nudge: number,
  ): void;
  resampleRow(
    out: number,
    row: number,
    starts: number,
    weights: number,
    count: number,
    taps: number,
    channels: number,
  ): void;
  resampleColumn(out: number, rows: number, stride: number, weights: number, taps: number): void;
}

export interface Kernels extends Omit<Exports, 'memory'> {
  /**
   * Room for arrays of these lengths in bytes, each with space to spare; what was there before is lost.
   *
   * @returns the memory and where the arrays start, or null when that is more than a picture should need
   */
  room<Lengths extends readonly number[]>(
    ...lengths: Lengths
  ): { readonly bytes: Uint8Array; readonly at: { [Index in keyof Lengths]: number } } | null;
}

const pageBytes = 65536;
// kernels read and write blocks of up to 64 bytes
const spareBytes = 64;
// strips of pictures take a few; larger ones go the plain way
const mostBytes = 256 * 2 ** 20;

let kernels: Kernels | null | undefined;

/** Null where WebAssembly or its vectors are not to be had, e.g. because a page's policy forbids it. */
export function loadKernels(): Kernels | null {
  if (kernels === undefined) {
    try {
      kernels = isLittleEndian() ? instantiate() : null;
    } catch {
      kernels = null;
    }
  }
  return kernels;
}

/** The arrays handed over are in the byte order of the processor, WebAssembly's is fixed. */
function isLittleEndian(): boolean {
  return new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
}

function instantiate(): Kernels {
  const code = Uint8Array.from(atob(kernelsWasm), (character) => character.charCodeAt(0));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(code));
  const { memory, ...functions } = instance.exports as unknown as Exports;
  return {
    ...functions,
    room: (...lengths) => {
      const at = lengths.map(() => 0) as { -readonly [Index in keyof typeof lengths]: number };
      let end = 0;
      for (const [index, length] of lengths.entries()) {
        at[index] = end;
        end += Math.ceil((length + spareBytes) / 16) * 16;
      }
      if (end > mostBytes) return null;
      const missing = Math.ceil((end - memory.buffer.byteLength) / pageBytes);
      if (missing > 0) memory.grow(missing);
      return { bytes: new Uint8Array(memory.buffer), at };
    },
  };
}
