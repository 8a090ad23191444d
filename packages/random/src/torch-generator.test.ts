import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { TorchGenerator } from './index.ts';

// Numbers as PyTorch prints them, with four decimals.
const printed = { atol: 5.1e-5 };

describe('TorchGenerator', () => {
  test('gives the values that torch.rand prints for the seed 0', () => {
    const values = [0.4963, 0.7682, 0.0885, 0.132, 0.3074, 0.6341, 0.4901, 0.8964, 0.4556, 0.6323];
    expect(new TorchGenerator(0).rand(10)).toBeAllClose(values, printed);
  });

  test('gives the values that torch.randn prints for fewer than 16', () => {
    const values = [1.541, -0.2934, -2.1788, 0.5684, -1.0845, -1.3986, 0.4033, 0.838, -0.7193, -0.4033];
    expect(new TorchGenerator(0).randn(10)).toBeAllClose(values, printed);
  });

  test('gives the values that torch.randn prints for 16 and more', () => {
    const values = [-1.1258, -1.1524, -0.2506, -0.4339, 0.8487, 0.692, -0.316, -2.1152, 0.3223, -1.2633];
    expect(new TorchGenerator(0).randn(32).subarray(0, 10)).toBeAllClose(values, printed);
  });

  test('gives the permutation that torch.randperm prints', () => {
    expect(new TorchGenerator(0).randperm(10)).toEqual([4, 1, 7, 5, 3, 9, 0, 8, 6, 2]);
  });

  test.each([0n, 1n, 42n, 0xffffffffn])('uses the low 32 bits of the seed %s', (seed) => {
    expect(new TorchGenerator(seed + (7n << 32n)).rand(3)).toEqual(new TorchGenerator(seed).rand(3));
  });

  test('makes the last 16 normals anew when the count is no multiple of 16', () => {
    const generator = new TorchGenerator(3);
    const values = generator.randn(37);
    expect(generator.wordsDrawn).toBe(37 + 16);
    const reference = new TorchGenerator(3);
    reference.skip(37);
    expect(values.subarray(21)).toEqual(reference.randn(16));
    expect(values.subarray(0, 16)).toEqual(new TorchGenerator(3).randn(16));
  });

  test('keeps the second normal of a pair for the next small draw only', () => {
    const whole = new TorchGenerator(5).randn(4);
    const generator = new TorchGenerator(5);
    expect(generator.randn(1)[0]).toBe(whole[0]);
    const copy = TorchGenerator.fromState(JSON.parse(JSON.stringify(generator.state())));
    generator.randn(16);
    expect(generator.wordsDrawn).toBe(4 + 16);
    expect(generator.randn(1)[0]).toBe(whole[1]);
    expect(copy.randn(3)).toEqual(whole.subarray(1));
  });

  test.each(['float32', 'bfloat16'] as const)('draws %s normals with mean 0 and deviation 1', (dtype) => {
    const values = new TorchGenerator(11).randn(200_000, dtype);
    const mean = values.reduce((sum, z) => sum + z, 0) / values.length;
    const variance = values.reduce((sum, z) => sum + z * z, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.01);
    expect(Math.abs(variance - 1)).toBeLessThan(0.02);
  });

  test('draws bfloat16 normals that are bfloat16 numbers up to 3.34', () => {
    for (const count of [7, 100_000]) {
      const values = new TorchGenerator(2).randn(count, 'bfloat16');
      const words = new Uint32Array(values.buffer);
      expect(words.every((word) => (word & 0xffff) === 0)).toBe(true);
      expect(values.every((z) => Math.abs(z) <= 3.34375)).toBe(true);
    }
  });

  test('draws uniforms inside their range', () => {
    const range = fc.tuple(fc.float({ noNaN: true, min: -100, max: 100 }), fc.float({ noNaN: true, min: 0, max: 50 }));
    fc.assert(
      fc.property(fc.nat(), range, (seed, [from, width]) => {
        const to = Math.fround(from + width);
        const values = new TorchGenerator(seed).uniform(50, from, to);
        expect(values.every((x) => x >= from && x <= to)).toBe(true);
      }),
    );
  });

  test('permutes', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(300), (seed, n) => {
        const order = new TorchGenerator(seed).randperm(n);
        expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      }),
    );
  });

  test('draws 63-bit integers', () => {
    const generator = new TorchGenerator(8);
    const values = Array.from({ length: 200 }, () => generator.randomInt63());
    expect(values.every((v) => v >= 0n && v < 2n ** 63n)).toBe(true);
    expect(values.some((v) => v > 2n ** 62n)).toBe(true);
  });

  test.each([
    ['BAD_SEED', () => new TorchGenerator(0.5)],
    ['BAD_SEED', () => new TorchGenerator(2 ** 60)],
    ['BAD_SEED', () => new TorchGenerator(Number.NaN)],
    ['BAD_COUNT', () => new TorchGenerator(0).rand(-1)],
    ['BAD_COUNT', () => new TorchGenerator(0).randn(1.5)],
    ['BAD_COUNT', () => new TorchGenerator(0).randperm(2 ** 31)],
    ['BAD_COUNT', () => new TorchGenerator(0).skip(-1)],
    ['BAD_RANGE', () => new TorchGenerator(0).uniform(1, 2, 1)],
    ['BAD_RANGE', () => new TorchGenerator(0).uniform(1, Number.NaN, 1)],
    ['BAD_STATE', () => TorchGenerator.fromState({ ...new TorchGenerator(0).state(), position: 700 })],
    ['BAD_STATE', () => TorchGenerator.fromState({ ...new TorchGenerator(0).state(), words: [1, 2, 3] })],
    ['BAD_STATE', () => TorchGenerator.fromState({ ...new TorchGenerator(0).state(), wordsDrawn: -1 })],
    ['BAD_STATE', () => TorchGenerator.fromState({ ...new TorchGenerator(0).state(), keptNormal: Number.NaN })],
  ])('refuses with %s: %s', (code, call) => {
    expect(call).toThrow(
      expect.objectContaining({ name: 'RandomError', code, remedy: expect.stringContaining('Pass') }),
    );
  });

  test('says what was wrong and what to pass', () => {
    expect(() => new TorchGenerator(0.5)).toThrowErrorMatchingInlineSnapshot(
      `[RandomError: The seed is 0.5. Pass an integer, and beyond 2^53 a bigint, so that no digit is lost.]`,
    );
  });
});
