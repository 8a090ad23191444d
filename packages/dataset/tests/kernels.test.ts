import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { Pixels } from '../src/index.ts';
import { averageFast, averagePlain } from '../src/internal/average.ts';
import { loadKernels } from '../src/internal/kernels.ts';
import {
  resampleColumnsFast,
  resampleColumnsPlain,
  resampleRowsFast,
  resampleRowsPlain,
} from '../src/internal/resample.ts';
import { createWeights, padWeights, type Weights } from '../src/internal/weighted-sums.ts';

// sizes around the 16 samples of a block, and below a pair of rows
const side = fc.integer({ min: 1, max: 45 });
const picture = fc
  .tuple(side, side, fc.constantFrom(1 as const, 3 as const, 4 as const))
  .chain(([width, height, channels]) =>
    fc
      .uint8Array({ minLength: width * height * channels, maxLength: width * height * channels })
      .map((data): Pixels => ({ width, height, channels, data })),
  );

/** Weights of `count` results among `length` samples. */
const weights = (length: number, least: number, most: number): fc.Arbitrary<Weights> =>
  fc
    .tuple(fc.integer({ min: 1, max: Math.min(length, 7) }), fc.integer({ min: 1, max: 20 }))
    .chain(([taps, count]) =>
      fc
        .tuple(
          fc.array(fc.integer({ min: 0, max: length - taps }), { minLength: count, maxLength: count }),
          fc.array(fc.integer({ min: least, max: most }), { minLength: count * taps, maxLength: count * taps }),
        )
        .map(([starts, values]) => ({ starts: Int32Array.from(starts), taps, values: Int32Array.from(values) })),
    );

const oneTap = (weight: number): Weights => ({ starts: new Int32Array(1), taps: 1, values: Int32Array.of(weight) });

/** The weight of a sample in a result. */
function weightOf({ starts, taps, values }: Weights, result: number, sample: number): number | undefined {
  const k = sample - (starts[result] ?? 0);
  return k >= 0 && k < taps ? values[result * taps + k] : 0;
}

describe('the loops in WebAssembly', () => {
  test('are there', () => {
    expect(loadKernels()).not.toBe(null);
  });

  test('average as the plain ones do', () => {
    fc.assert(
      fc.property(
        picture.chain((pixels) =>
          fc.record({
            pixels: fc.constant(pixels),
            rows: weights(pixels.height, 0, 32767),
            columns: weights(pixels.width, 0, 100_000),
            whole: fc.integer({ min: 1, max: 2 ** 40 }),
            nudge: fc.constantFrom(0, 1 / 8),
          }),
        ),
        (averaging) => {
          expect(averageFast(averaging)).toEqual(averagePlain(averaging));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('resample rows and columns as the plain ones do', () => {
    const most = 2 ** 20; // seven of them stay below 2^31 with samples of 255
    fc.assert(
      fc.property(
        picture.chain((pixels) =>
          fc.tuple(
            fc.constant(pixels),
            weights(pixels.width, -most, most),
            weights(pixels.height, -most, most),
            fc.integer({ min: 0, max: pixels.height - 1 }),
          ),
        ),
        ([pixels, columns, rows, first]) => {
          const count = pixels.height - first;
          expect(resampleRowsFast(pixels, columns, first, count)).toEqual(
            resampleRowsPlain(pixels, columns, first, count),
          );
          expect(resampleColumnsFast(pixels, rows, 0)).toEqual(resampleColumnsPlain(pixels, rows, 0, pixels.height));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('leave weights above 16 bits to the plain ones', () => {
    const pixels: Pixels = { width: 1, height: 1, channels: 1, data: Uint8Array.of(7) };
    const averaging = { pixels, rows: oneTap(32768), columns: oneTap(1), whole: 32768, nudge: 0 };
    expect(averageFast(averaging)).toBe(null);
    expect([...averagePlain(averaging).data]).toEqual([7]);
  });

  test('are what their source says', () => {
    const script = fileURLToPath(new URL('../../../scripts/build-kernels.mjs', import.meta.url));
    expect(() => execFileSync(process.execPath, [script, '--check', 'dataset'], { stdio: 'pipe' })).not.toThrow();
  });
});

test('padded weights are the same weights', () => {
  fc.assert(
    fc.property(
      side.chain((length) => fc.tuple(fc.constant(length), weights(length, -9, 9), fc.integer({ min: 1, max: 4 }))),
      ([length, plain, multiple]) => {
        const padded = padWeights(plain, multiple, length);
        expect(padded.taps % multiple).toBe(0);
        for (let result = 0; result < plain.starts.length; result++) {
          for (let sample = 0; sample < length; sample++) {
            expect(weightOf(padded, result, sample)).toBe(weightOf(plain, result, sample));
          }
        }
      },
    ),
  );
});

test('created weights stay among the samples', () => {
  const { starts, taps, values } = createWeights(5, 3, (i) => ({ begin: 2 * i, weights: i === 1 ? [1, 2, 3] : [7] }));
  expect(taps).toBe(3);
  expect([...starts]).toEqual([0, 2, 2]);
  expect([...values]).toEqual([7, 0, 0, 1, 2, 3, 0, 0, 7]);
});
