import { FP8_FORMATS } from '../formats.ts';
import type { Fp8Format } from '../formats.ts';
import { PIECE, WINDOW } from './engine.ts';
import type { Engine } from './engine.ts';
import { kernelsWasm } from './kernels-wasm.ts';
import { smallestScale } from './weight-dtype.ts';
import type { WeightDtype } from './weight-dtype.ts';

/** What kernels.wat exports; addresses in bytes. */
interface Kernels {
  readonly memory: WebAssembly.Memory;
  readonly widenBf16: (from: number, to: number, count: number) => void;
  readonly widenF16: (from: number, to: number, count: number) => void;
  readonly narrowBf16: (from: number, to: number, count: number) => void;
  readonly narrowF16: (from: number, to: number, count: number) => void;
  readonly maxima: (from: number, to: number, groups: number, size: number) => number;
  readonly divide: (at: number, count: number, divisor: number) => void;
  readonly raise: (at: number, count: number, smallest: number) => void;
  readonly encode: (...parameters: number[]) => [norm: number, distance: number];
  readonly decode: (...parameters: number[]) => void;
  readonly errors: (a: number, b: number, count: number) => [norm: number, distance: number];
}

/** Between regions, because loops write up to three numbers past the end. */
const PADDING = 64;

/** The loops in WebAssembly, or undefined where it has no SIMD, or is forbidden. */
export function createWasmEngine(): Engine | undefined {
  const made = instantiate();
  if (!made) return undefined;
  const { memory } = made;
  const at = { raw: 0, codes: 0, scales: 0, wide: 0, decoded: 0, narrow: 0 };
  const sizes = {
    raw: WINDOW * 4,
    codes: WINDOW,
    scales: PIECE * 4,
    wide: PIECE * 4,
    decoded: PIECE * 4,
    narrow: PIECE * 2,
  };
  let end = 0;
  for (const region of ['raw', 'codes', 'scales', 'wide', 'decoded', 'narrow'] as const) {
    at[region] = end;
    end += sizes[region] + PADDING;
  }
  memory.grow(Math.ceil(end / 65536) - memory.buffer.byteLength / 65536);
  const { buffer } = memory;

  const decode: Engine['decode'] = (format, groups, size, firstCode) => {
    const { shift, normal, special, step } = constants[format];
    made.decode(at.codes + firstCode, at.scales, at.decoded, groups, size, shift, normal, special, step);
  };
  /** Rounds `decoded`, in place. */
  const round = (dtype: WeightDtype, count: number): void => {
    if (dtype === 'BF16') {
      made.narrowBf16(at.decoded, at.narrow, count);
      made.widenBf16(at.narrow, at.decoded, count);
    } else if (dtype === 'F16') {
      made.narrowF16(at.decoded, at.narrow, count);
      made.widenF16(at.narrow, at.decoded, count);
    }
  };

  return {
    kind: 'wasm',
    raw: new Uint8Array(buffer, at.raw, sizes.raw),
    codes: new Uint8Array(buffer, at.codes, sizes.codes),
    scales: new Float32Array(buffer, at.scales, PIECE),
    widen(dtype, first, count) {
      if (dtype === 'BF16') made.widenBf16(at.raw + first * 2, at.wide, count);
      else if (dtype === 'F16') made.widenF16(at.raw + first * 2, at.wide, count);
      else copy(buffer, at.raw + first * 4, at.wide, count * 4);
    },
    maxima: (groups, size) => made.maxima(at.wide, at.scales, groups, size),
    toScales(format, dtype, groups) {
      made.divide(at.scales, groups, FP8_FORMATS[format].max);
      if (dtype === 'BF16') {
        made.narrowBf16(at.scales, at.narrow, groups);
        made.widenBf16(at.narrow, at.scales, groups);
      } else if (dtype === 'F16') {
        made.narrowF16(at.scales, at.narrow, groups);
        made.widenF16(at.narrow, at.scales, groups);
      }
      made.raise(at.scales, groups, smallest[dtype]);
    },
    encode(format, dtype, groups, size, firstCode) {
      const { shift, max, normal, adder } = constants[format];
      const to = at.codes + firstCode;
      const [half, keep] = dtype === 'BF16' ? [0x7fff, 0xffff0000] : [0, 0xffffffff];
      const sums = made.encode(at.wide, at.scales, to, groups, size, shift, max, normal, adder, half, keep);
      if (dtype !== 'F16' && size % 4 === 0) return { norm: sums[0], distance: sums[1] };
      decode(format, groups, size, firstCode);
      const count = groups * size;
      round(dtype, count);
      const [norm, distance] = made.errors(at.wide, at.decoded, count);
      return { norm, distance };
    },
    decode,
    narrow(dtype, first, count) {
      if (dtype === 'BF16') made.narrowBf16(at.decoded, at.raw + first * 2, count);
      else if (dtype === 'F16') made.narrowF16(at.decoded, at.raw + first * 2, count);
      else copy(buffer, at.decoded, at.raw + first * 4, count * 4);
    },
  };
}

const smallest = { F32: smallestScale('F32'), BF16: smallestScale('BF16'), F16: smallestScale('F16') };

interface FormatConstants {
  /** bits of float32's mantissa that go */
  readonly shift: number;
  readonly max: number;
  readonly normal: number;
  readonly adder: number;
  /** magnitude of the first code that is no finite number */
  readonly special: number;
  readonly step: number;
}

const constants: Readonly<Record<Fp8Format, FormatConstants>> = {
  e4m3: formatConstants('e4m3', 0x7f),
  e5m2: formatConstants('e5m2', 0x7c),
};

function formatConstants(format: Fp8Format, special: number): FormatConstants {
  const { max, smallestNormal, smallestSubnormal, mantissaBits } = FP8_FORMATS[format];
  return {
    shift: 23 - mantissaBits,
    max: bitsOf(max),
    normal: bitsOf(smallestNormal),
    adder: bitsOf(smallestSubnormal * 2 ** 23),
    special,
    step: smallestSubnormal,
  };
}

function bitsOf(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0]!;
}

function copy(buffer: ArrayBuffer, from: number, to: number, bytes: number): void {
  new Uint8Array(buffer).copyWithin(to, from, from + bytes);
}

function instantiate(): Kernels | undefined {
  if (typeof WebAssembly !== 'object') return undefined;
  try {
    const bytes = Uint8Array.from(atob(kernelsWasm), (character) => character.charCodeAt(0));
    // Small enough to be compiled on the main thread of a page.
    return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as Kernels;
  } catch {
    return undefined;
  }
}
