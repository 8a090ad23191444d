import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { adamStepFast, adamStepPlain } from './adam-step.ts';
import type { AdamFactors } from './adam-step.ts';
import { kernelsWasm } from './kernels-wasm.ts';
import { loadKernels } from './kernels.ts';

const float = fc.float({ noNaN: true });
const factors: fc.Arbitrary<AdamFactors> = fc.record({
  keep: float,
  decay: fc.oneof(fc.constant(0), float),
  firstShare: fc.float({ min: 0, max: 1, noNaN: true }),
  secondKeep: fc.float({ min: 0, max: 1, noNaN: true }),
  secondShare: fc.float({ min: 0, max: 1, noNaN: true }),
  scale: float,
  smallest: fc.float({ min: 0, noNaN: true }),
});
/** Factors of a usual step, whose results are neither infinite nor zero. */
const usual: AdamFactors = {
  keep: Math.fround(0.9999),
  decay: Math.fround(0.01),
  firstShare: Math.fround(0.1),
  secondKeep: Math.fround(0.999),
  secondShare: Math.fround(0.001),
  scale: Math.fround(-1e-4),
  smallest: Math.fround(1e-9),
};

type Arrays = readonly [p: Float32Array, gradient: Float32Array, m: Float32Array, v: Float32Array];

/** Arrays of `length` that begin with the given numbers and go on with numbers of a usual size. */
function arraysOf(length: number, first: readonly (readonly number[])[]): Arrays {
  const fill = (row: number): Float32Array =>
    Float32Array.from({ length }, (_, i) => first[i]?.[row] ?? Math.abs(Math.sin(i + row)) / 10 ** row);
  return [fill(0), fill(1), fill(2), fill(3)];
}

/** Bytes, so that zeros of both signs differ; a NaN has many, of which either loop may give any. */
function bytesOf(arrays: Arrays): readonly Buffer[] {
  return arrays.map((array) => Buffer.from(array.map((x) => (Number.isNaN(x) ? NaN : x)).buffer));
}

function stepBoth(arrays: Arrays, numbers: AdamFactors): { fast: Arrays; plain: Arrays } {
  const copy = (): Arrays => arrays.map((array) => array.slice()) as unknown as Arrays;
  const [fast, plain] = [copy(), copy()];
  const kernels = loadKernels();
  if (!kernels) throw new Error('this machine has no WebAssembly with vectors');
  adamStepFast(kernels, ...fast, numbers);
  adamStepPlain(...plain, numbers);
  return { fast, plain };
}

describe('the loop in WebAssembly', () => {
  test('gives the bits of the plain one for any numbers', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(float, float, float, fc.float({ noNaN: true, min: 0 })), { minLength: 1, maxLength: 9 }),
        factors,
        (rows, numbers) => {
          const { fast, plain } = stepBoth(arraysOf(rows.length, rows), numbers);
          expect(bytesOf(fast)).toEqual(bytesOf(plain));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test.each([0, 1, 2, 3, 4, 5, 16383, 16384, 16385, 50001])(
    'gives the bits of the plain one for %i values',
    (length) => {
      const arrays = arraysOf(length, []);
      const { fast, plain } = stepBoth(arrays, usual);
      expect(bytesOf(fast)).toEqual(bytesOf(plain));
      expect(fast[1]).toEqual(arrays[1]); // the gradient stays
      if (length > 0) expect(fast[0]).not.toEqual(arrays[0]);
    },
  );

  test('works on a part of an array and leaves the rest alone', () => {
    const whole = arraysOf(100, []);
    const part = whole.map((array) => array.subarray(3, 30)) as unknown as Arrays;
    const { plain } = stepBoth(part, usual);
    const before = whole.map((array) => array.slice());
    adamStepFast(loadKernels()!, ...part, usual);
    whole.forEach((array, k) => {
      expect(array.subarray(3, 30)).toEqual(plain[k]);
      expect(array.subarray(0, 3)).toEqual(before[k]!.subarray(0, 3));
      expect(array.subarray(30)).toEqual(before[k]!.subarray(30));
    });
  });

  test('is what its source says', () => {
    const script = fileURLToPath(new URL('../../../../scripts/build-kernels.mjs', import.meta.url));
    expect(() => execFileSync(process.execPath, [script, '--check', 'optimizers'], { stdio: 'pipe' })).not.toThrow();
  });

  test('is small enough to be compiled on the main thread of a page, where 4 KB are allowed', () => {
    expect((kernelsWasm.length / 4) * 3).toBeLessThan(4096);
  });
});
