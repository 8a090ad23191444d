import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromFloat32, SAFETENSORS_DTYPES, toFloat32 } from './index.ts';
import type { SafetensorsDtype } from './index.ts';

const bytesOf = (array: { buffer: ArrayBufferLike }) => new Uint8Array(array.buffer);
const encode = (dtype: SafetensorsDtype, ...values: number[]) => [...fromFloat32(Float32Array.from(values), dtype)];
const encode16 = (dtype: SafetensorsDtype, ...values: number[]) => [
  ...new Uint16Array(fromFloat32(Float32Array.from(values), dtype).buffer),
];

describe('toFloat32', () => {
  test.each([
    ['I64', BigInt64Array.of(-3n, 2n ** 53n + 1n, 2n ** 62n + 2n ** 38n + 1n, -(2n ** 62n) - 2n ** 38n - 1n)],
    ['U64', BigUint64Array.of(3n, 2n ** 64n - 1n, 2n ** 63n + 2n ** 39n, 2n ** 63n + 2n ** 39n + 1n)],
  ] as const)('rounds %s once', (dtype, values) => {
    // The middle between two float32 values and one integer above it: rounding to double first would lose the one.
    expect([...toFloat32(bytesOf(values), dtype)]).toEqual(Array.from(values, exactFround));
  });

  test.each([
    ['F64', Float64Array.of(0.1, -2, 1e300)],
    ['I32', Int32Array.of(-7, 2 ** 31 - 1)],
    ['U32', Uint32Array.of(7, 2 ** 32 - 1)],
    ['I16', Int16Array.of(-7, 9)],
    ['U16', Uint16Array.of(65535)],
    ['I8', Int8Array.of(-128, 127)],
    ['U8', Uint8Array.of(255)],
  ] as const)('reads %s', (dtype, values) => {
    expect(toFloat32(bytesOf(values), dtype)).toEqual(Float32Array.from(values));
  });

  test('reads BOOL as 0 and 1', () => {
    expect(toFloat32(Uint8Array.of(0, 1, 2), 'BOOL')).toEqual(Float32Array.of(0, 1, 1));
  });

  test.each(SAFETENSORS_DTYPES)('reads %s at an odd address', (dtype) => {
    const bytes = Uint8Array.from({ length: 17 }, (_, i) => (i * 37) & 0x3f);
    expect(toFloat32(bytes.subarray(1), dtype)).toEqual(toFloat32(bytes.slice(1), dtype));
  });

  test('refuses a part of an element', () => {
    expect(() => toFloat32(new Uint8Array(3), 'BF16')).toThrow(expect.objectContaining({ code: 'SIZE_MISMATCH' }));
  });

  test('does not alias its input', () => {
    const bytes = new Uint8Array(4);
    toFloat32(bytes, 'F32')[0] = 1;
    expect(bytes).toEqual(new Uint8Array(4));
  });
});

describe('fromFloat32', () => {
  test.each([
    ['F16', 65519, 0x7bff],
    ['F16', 65520, 0x7c00],
    ['F16', -Infinity, 0xfc00],
    ['F16', 2 ** -24, 1],
    ['F16', 2 ** -25, 0],
    ['F16', 2 ** -25 * (1 + 2 ** -23), 1],
    ['F16', 1.5 * 2 ** -24, 2],
    ['F16', 2 ** -14 * (1 - 2 ** -12), 0x400],
    ['F16', 2049, 0x6800],
    ['F16', 2051, 0x6802],
    ['F16', -0, 0x8000],
    ['F16', NaN, 0x7e00],
    ['BF16', 1, 0x3f80],
    ['BF16', 1 + 2 ** -8, 0x3f80],
    ['BF16', 1 + 2 ** -8 + 2 ** -20, 0x3f81],
    ['BF16', 1 + 3 * 2 ** -8, 0x3f82],
    ['BF16', 3.4e38, 0x7f80],
    ['BF16', -1e-45, 0x8000],
    ['BF16', -NaN, 0x7fc0],
  ] as const)('rounds %s %d to %i', (dtype, value, code) => {
    expect(encode16(dtype, value)).toEqual([code]);
  });

  test('never saturates', () => {
    expect(encode('F8_E4M3', 448, 464, 464.00003, -1e9, Infinity, NaN)).toEqual([0x7e, 0x7e, 0x7f, 0xff, 0x7f, 0x7f]);
    expect(encode('F8_E5M2', 57344, 61439, 61440, -Infinity)).toEqual([0x7b, 0x7b, 0x7c, 0xfc]);
  });

  test.each(['I32', 'BOOL'] as const)('refuses %s', (dtype) => {
    expect(() => fromFloat32(new Float32Array(1), dtype)).toThrow(
      expect.objectContaining({ code: 'CONVERSION_UNSUPPORTED' }),
    );
  });
});

describe('codes of 8 and 16 bits', () => {
  test.each(['F16', 'BF16', 'F8_E4M3', 'F8_E5M2'] as const)(
    '%s: every code survives decoding and encoding',
    (dtype) => {
      const wide = dtype.endsWith('16');
      const codes = wide
        ? Uint16Array.from({ length: 65536 }, (_, i) => i)
        : Uint8Array.from({ length: 256 }, (_, i) => i);
      const values = toFloat32(bytesOf(codes), dtype);
      const back = fromFloat32(values, dtype);
      const again = wide ? new Uint16Array(back.buffer) : back;
      const changed = Array.from(codes).filter((code, i) => !Number.isNaN(values[i]) && again[i] !== code);
      expect(changed).toEqual([]);
      expect(toFloat32(back, dtype)).toEqual(values);
    },
  );

  test.each([
    ['F16', 65504],
    ['BF16', 3e38],
    ['F8_E4M3', 448],
    ['F8_E5M2', 57344],
  ] as const)('%s: encoding picks the nearest value, ties to the even code', (dtype, largest) => {
    const codes = dtype.endsWith('16')
      ? Uint16Array.from({ length: 32768 }, (_, i) => i)
      : Uint8Array.from({ length: 128 }, (_, i) => i);
    const values = [...toFloat32(bytesOf(codes), dtype)].filter(Number.isFinite);
    fc.assert(
      fc.property(fc.float({ min: 0, max: Math.fround(largest), noNaN: true }), (x) => {
        const encoded = fromFloat32(Float32Array.of(x), dtype);
        const code = encoded.length === 2 ? encoded[0]! + 256 * encoded[1]! : encoded[0]!;
        const upper = values.findIndex((value) => value >= x);
        const [below, above] = [values[upper - 1] ?? 0, values[upper]!];
        const [down, up] = [x - below, above - x];
        const nearest = values[upper] === x ? upper : down < up || (down === up && upper % 2 === 1) ? upper - 1 : upper;
        expect(code).toBe(nearest);
      }),
    );
  });
});

/** The float32 nearest to an integer, found with integers alone. */
function exactFround(value: bigint): number {
  const magnitude = value < 0n ? -value : value;
  const shift = BigInt(Math.max(0, magnitude.toString(2).length - 24));
  const floor = magnitude >> shift;
  const rest = magnitude - (floor << shift);
  const half = shift === 0n ? 1n : 1n << (shift - 1n);
  const up = rest > half || (rest === half && floor % 2n === 1n) ? 1n : 0n;
  const rounded = Number((floor + up) << shift);
  return value < 0n ? -rounded : rounded;
}
