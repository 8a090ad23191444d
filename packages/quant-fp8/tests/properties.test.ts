import fc from 'fast-check';
import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { describe, expect, test } from 'vitest';
import {
  FP8_FORMATS,
  Fp8Error,
  chooseGrouping,
  decodeFp8,
  dequantizeWeight,
  encodeFp8,
  encodeScaled,
  isFp8Target,
  quantizeWeight,
} from '../src/index.ts';
import type { Fp8Format, Fp8Mode, WeightDtype } from '../src/index.ts';
import { createPlainEngine } from '../src/internal/plain-engine.ts';
import type { Engine } from '../src/internal/engine.ts';
import { dequantizeStream, quantizeStream } from '../src/internal/stream.ts';
import { createWasmEngine } from '../src/internal/wasm-engine.ts';

const formats = ['e4m3', 'e5m2'] as const satisfies readonly Fp8Format[];
const allCodes = Uint8Array.from({ length: 256 }, (_, code) => code);

const format = fc.constantFrom(...formats);
const mode = fc.constantFrom<Fp8Mode>('tensor', 'channel', 'block');
const dtype = fc.constantFrom<WeightDtype>('F32', 'BF16', 'F16');
const shape = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70 })),
  fc.tuple(fc.integer({ min: 1, max: 200 })),
  fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 6 })),
);

/** A weight with the numbers that checkpoints have, and with all finite ones that exist. */
const weight = fc.record({ shape, dtype }).chain((about) => {
  const count = about.shape.reduce((product, size) => product * size, 1);
  const number = fc.oneof(
    fc.float({ min: -1, max: 1, noNaN: true }),
    fc.float({ min: Math.fround(-60000), max: 60000, noNaN: true }),
    fc.constantFrom(0, -0, 2 ** -24, 2 ** -30, -(2 ** -9)),
    ...(about.dtype === 'F16' ? [] : [fc.float({ min: Math.fround(-3e38), max: Math.fround(3e38), noNaN: true })]),
  );
  return fc.array(number, { minLength: count, maxLength: count }).map((values) => ({
    ...about,
    data: fromFloat32(Float32Array.from(values), about.dtype),
  }));
});

describe.each(formats)('%s', (name) => {
  const { max, smallestNormal, smallestSubnormal, mantissaBits } = FP8_FORMATS[name];

  test('encode(decode(code)) is the code, and NaN stays NaN', () => {
    const values = decodeFp8(allCodes, name);
    const again = encodeFp8(values, name);
    for (const code of allCodes) {
      if (Number.isNaN(values[code]!)) expect(decodeFp8(again.subarray(code, code + 1), name)[0]).toBeNaN();
      else expect(again[code]).toBe(code);
    }
    expect(values.filter(Number.isNaN)).toHaveLength(name === 'e4m3' ? 2 : 6);
  });

  test('larger numbers have codes of larger values', () => {
    const number = fc.float({ min: -max, max, noNaN: true });
    fc.assert(
      fc.property(fc.array(number, { minLength: 2, maxLength: 50 }), (values) => {
        const sorted = Float32Array.from(values).toSorted();
        const decoded = decodeFp8(encodeFp8(sorted, name), name);
        for (let i = 1; i < decoded.length; i++) expect(decoded[i]).toBeGreaterThanOrEqual(decoded[i - 1]!);
      }),
    );
  });

  test('the error of a number is at most half a step of the codes around it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: 1, maxLength: 64 }),
        fc.float({ min: Math.fround(4 / max), max: 1, noNaN: true }),
        (values, scale) => {
          const decoded = decodeFp8(encodeScaled(Float32Array.from(values), scale, name), name);
          values.forEach((value, i) => {
            const scaled = Math.fround(value / scale);
            const exponent = Math.floor(Math.log2(Math.max(Math.abs(scaled), smallestNormal)));
            const step = Math.max(2 ** (exponent - mantissaBits), smallestSubnormal);
            expect(Math.abs(decoded[i]! - scaled)).toBeLessThanOrEqual(step / 2);
          });
        },
      ),
    );
  });
});

test('quantized weights differ from the weights by half a step in units of their scale', () => {
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 128, maxLength: 128 }),
      format,
      mode,
      (values, name, how) => {
        const { mantissaBits, smallestSubnormal } = FP8_FORMATS[name];
        const data = fromFloat32(Float32Array.from(values), 'F32');
        const quantized = quantizeWeight({ dtype: 'F32', shape: [2, 64], data }, { format: name, mode: how });
        const size = 128 / quantized.scales.length;
        dequantizeWeight(quantized).forEach((back, i) => {
          const scale = quantized.scales[Math.floor(i / size)]!;
          const bound = Math.max(Math.abs(values[i]!) * 2 ** -(mantissaBits + 1), (scale * smallestSubnormal) / 2);
          // float32 rounds the quotient and the product
          expect(Math.abs(back - values[i]!)).toBeLessThanOrEqual(bound * (1 + 1e-5));
        });
      },
    ),
  );
});

test('a weight is quantized and dequantized alike by both engines', () => {
  const engines = [createWasmEngine()!, createPlainEngine()];
  expect(engines.map(({ kind }) => kind)).toEqual(['wasm', 'plain']);
  fc.assert(
    fc.property(weight, format, mode, fc.constantFrom(1, 2, 3, 16, 64), (given, name, how, blockSize) => {
      const [wasm, plain] = engines.map((engine) => runOn(engine, given, name, how, blockSize));
      const { measured, ...exact } = wasm!;
      expect(exact).toEqual({ ...plain, measured: undefined });
      // the order of summation differs
      expect(measured).toBeAllClose(plain!.measured, { rtol: 1e-12 });
    }),
  );
});

function runOn(
  engine: Engine,
  { shape: size, dtype: type, data }: { shape: number[]; dtype: WeightDtype; data: Uint8Array },
  name: Fp8Format,
  how: Fp8Mode,
  blockSize: number,
) {
  const about = { dtype: type, format: name, grouping: chooseGrouping(size, how, blockSize) };
  const codes: number[] = [];
  const numbers: number[] = [];
  const { scales, ...sums } = quantizeStream(
    engine,
    about,
    (into, first) => into.set(data.subarray(first, first + into.length)),
    (bytes) => codes.push(...bytes),
  );
  dequantizeStream(
    engine,
    about,
    scales,
    (into, first) => into.set(codes.slice(first, first + into.length)),
    (bytes) => numbers.push(...bytes),
  );
  return { codes, scales, numbers, measured: Object.values(sums) };
}

test.each(['F32', 'BF16', 'F16'] as const)('every code is dequantized alike by both engines to %s', (type) => {
  for (const name of formats) {
    const grouping = chooseGrouping([1, 256], 'block', 1);
    const scales = Float32Array.from({ length: 256 }, (_, i) => (i % 3 === 0 ? 2 ** -20 : 0.37));
    const decoded = [createWasmEngine()!, createPlainEngine()].map((engine) => {
      const bytes: number[] = [];
      const about = { dtype: type, format: name, grouping };
      dequantizeStream(
        engine,
        about,
        scales,
        (into, first) => into.set(allCodes.subarray(first, first + into.length)),
        (piece) => bytes.push(...piece),
      );
      return toFloat32(Uint8Array.from(bytes), type);
    });
    expect(decoded[0]).toEqual(decoded[1]);
  }
});

describe('quantizeWeight refuses', () => {
  const values = new Float32Array(128).fill(0.5);
  const good = { name: 'a.weight', dtype: 'F32', shape: [2, 64], data: fromFloat32(values, 'F32') } as const;
  const holding = (value: number) =>
    fromFloat32(
      values.map((x, i) => (i === 100 ? value : x)),
      'F32',
    );

  test.each<[string, string, () => unknown]>([
    ['NaN', 'NOT_FINITE', () => quantizeWeight({ ...good, data: holding(NaN) })],
    ['infinity', 'NOT_FINITE', () => quantizeWeight({ ...good, data: holding(-Infinity) }, { mode: 'tensor' })],
    ['an empty tensor', 'EMPTY_TENSOR', () => quantizeWeight({ ...good, shape: [0, 64], data: new Uint8Array() })],
    ['an unknown mode', 'UNKNOWN_MODE', () => quantizeWeight(good, { mode: 'row' as Fp8Mode })],
    ['an unknown format', 'UNKNOWN_FORMAT', () => quantizeWeight(good, { format: 'e3m4' as Fp8Format })],
    ['blocks of 0', 'BLOCK_SIZE_INVALID', () => quantizeWeight(good, { blockSize: 0 })],
    ['blocks of 1.5', 'BLOCK_SIZE_INVALID', () => quantizeWeight(good, { blockSize: 1.5 })],
    ['FP8', 'ALREADY_QUANTIZED', () => quantizeWeight({ ...good, dtype: 'F8_E4M3' as WeightDtype })],
    ['float64', 'UNSUPPORTED_DTYPE', () => quantizeWeight({ ...good, dtype: 'F64' as WeightDtype })],
    ['too few bytes', 'SHAPE_MISMATCH', () => quantizeWeight({ ...good, shape: [2, 65] })],
    ['an unknown architecture', 'UNKNOWN_ARCHITECTURE', () => isFp8Target('a.weight', 'sd' as 'wan')],
  ])('%s', (_, code, action) => {
    const failure = errorOf(action);
    expect(failure).toBeInstanceOf(Fp8Error);
    expect(failure).toMatchObject({ code });
    expect(failure?.message.endsWith(failure.remedy)).toBe(true);
  });

  test('and says which weight it was, and where', () => {
    expect(errorOf(() => quantizeWeight({ ...good, data: holding(NaN) }))?.message).toMatchInlineSnapshot(
      `"a.weight holds NaN or infinity among the numbers 64 to 127. The checkpoint is damaged or its training diverged: use another one."`,
    );
  });
});

function errorOf(action: () => unknown): Fp8Error | undefined {
  try {
    action();
  } catch (error) {
    return error as Fp8Error;
  }
  return undefined;
}
