import { kernelsWasm } from './kernels-wasm.ts';

/** What kernels.wat exports. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  adamStep(
    count: number,
    keep: number,
    decay: number,
    firstShare: number,
    secondKeep: number,
    secondShare: number,
    scale: number,
    smallest: number,
  ): void;
}

export interface Kernels extends Omit<Exports, 'memory'> {
  /** Where a loop works: parameters, gradients, first and second moments, of one length. */
  readonly regions: readonly [Float32Array, Float32Array, Float32Array, Float32Array];
}

/** Four of these stay in a core's second cache, and calls cost nothing beside them. */
const regionBytes = 65536;

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
  const { memory, adamStep } = new WebAssembly.Instance(new WebAssembly.Module(code)).exports as unknown as Exports;
  const region = (index: number): Float32Array =>
    new Float32Array(memory.buffer, index * regionBytes, regionBytes / Float32Array.BYTES_PER_ELEMENT);
  return { adamStep, regions: [region(0), region(1), region(2), region(3)] };
}
