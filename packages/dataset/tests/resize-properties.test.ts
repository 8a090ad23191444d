import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { averageArea, type Pixels, resizeLanczos, resizeToBucket, type Size } from '../src/index.ts';

const side = fc.integer({ min: 1, max: 40 });
const size = fc.tuple(side, side);
const channelCount = fc.constantFrom(1 as const, 3 as const, 4 as const);
const picture: fc.Arbitrary<Pixels> = fc
  .tuple(size, channelCount)
  .chain(([[width, height], channels]) =>
    fc
      .uint8Array({ minLength: width * height * channels, maxLength: width * height * channels })
      .map((data) => ({ width, height, channels, data })),
  );
/** A picture and a size that is no larger on either side. */
const reduction = picture.chain((pixels) =>
  fc.tuple(
    fc.constant(pixels),
    fc.tuple(fc.integer({ min: 1, max: pixels.width }), fc.integer({ min: 1, max: pixels.height })),
  ),
);

function turned({ width, height, channels, data }: Pixels): Pixels {
  const pixels = Array.from({ length: width * height }, (_, i) => [...data.subarray(i * channels, (i + 1) * channels)]);
  return { width, height, channels, data: Uint8Array.from(pixels.toReversed().flat()) };
}

function transposed({ width, height, channels, data }: Pixels): Pixels {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        out[(x * height + y) * channels + c] = data[(y * width + x) * channels + c] ?? 0;
      }
    }
  }
  return { width: height, height: width, channels, data: out };
}

/** How much of sample `k` of `from` result `i` of `to` covers. */
const covered = (i: number, k: number, from: number, to: number) =>
  Math.max(0, Math.min(((i + 1) * from) / to, k + 1) - Math.max((i * from) / to, k));

/** The average over areas by its definition, in doubles, without any order of passes. */
function plainAverage({ width, height, channels, data }: Pixels, [toWidth, toHeight]: Size): number[] {
  const values: number[] = [];
  for (let y = 0; y < toHeight; y++) {
    for (let x = 0; x < toWidth; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let j = 0; j < height; j++) {
          const weight = covered(y, j, height, toHeight);
          for (let i = 0; i < width; i++) {
            sum += weight * covered(x, i, width, toWidth) * (data[(j * width + i) * channels + c] ?? 0);
          }
        }
        values.push((sum * toWidth * toHeight) / (width * height));
      }
    }
  }
  return values;
}

describe('every resize', () => {
  test('keeps a constant picture constant', () => {
    fc.assert(
      fc.property(size, size, channelCount, fc.integer({ min: 0, max: 255 }), (from, bucket, channels, value) => {
        const data = new Uint8Array(from[0] * from[1] * channels).fill(value);
        if (channels === 4) for (let i = 3; i < data.length; i += 4) data[i] = 255;
        const resized = resizeToBucket({ width: from[0], height: from[1], channels, data }, bucket);
        expect([resized.width, resized.height, resized.data.length]).toEqual([
          ...bucket,
          bucket[0] * bucket[1] * channels,
        ]);
        const expected = (i: number) => (channels === 4 && i % 4 === 3 ? 255 : value);
        expect(resized.data.every((sample, i) => sample === expected(i))).toBe(true);
      }),
    );
  });

  test('leaves a picture alone that has the size', () => {
    fc.assert(
      fc.property(picture, (pixels) => {
        expect(resizeToBucket(pixels, [pixels.width, pixels.height])).toBe(pixels);
        const own: Size = [pixels.width, pixels.height];
        // alpha goes through 8 bits and back
        if (pixels.channels !== 4) expect(resizeLanczos(pixels, own).data).toEqual(pixels.data);
        expect(averageArea(pixels, own).data).toEqual(pixels.data);
      }),
    );
  });

  test('gives a part as it is in the whole', () => {
    fc.assert(
      fc.property(picture, size, fc.gen(), (pixels, to, gen) => {
        const isReduced = to[0] <= pixels.width && to[1] <= pixels.height;
        const left = gen(fc.integer, { min: 0, max: to[0] - 1 });
        const top = gen(fc.integer, { min: 0, max: to[1] - 1 });
        const width = gen(fc.integer, { min: 1, max: to[0] - left });
        const height = gen(fc.integer, { min: 1, max: to[1] - top });
        for (const resize of isReduced ? [resizeLanczos, averageArea] : [resizeLanczos]) {
          const whole = resize(pixels, to);
          const part = resize(pixels, to, [left, top, width, height]);
          for (let y = 0; y < height; y++) {
            const start = ((top + y) * to[0] + left) * pixels.channels;
            const row = whole.data.subarray(start, start + width * pixels.channels);
            expect(part.data.subarray(y * row.length, (y + 1) * row.length)).toEqual(row);
          }
        }
      }),
    );
  });
});

/** A grey picture of two rows. */
const twoRows = (values: number[]): Pixels => ({
  width: values.length / 2,
  height: 2,
  channels: 1,
  data: Uint8Array.from(values),
});

describe('the average over areas', () => {
  test('is its definition, rounded', () => {
    fc.assert(
      fc.property(reduction, ([pixels, to]) => {
        const actual = averageArea(pixels, to).data;
        const expected = plainAverage(pixels, to);
        // a half and what doubles leave of it
        expect(actual.every((value, i) => Math.abs(value - (expected[i] ?? NaN)) <= 0.5 + 1e-9)).toBe(true);
      }),
    );
  });

  test('is the same upside down and across', () => {
    fc.assert(
      fc.property(reduction, ([pixels, to]) => {
        const result = averageArea(pixels, to);
        expect(turned(averageArea(turned(pixels), to)).data).toEqual(result.data);
        expect(transposed(averageArea(transposed(pixels), [to[1], to[0]])).data).toEqual(result.data);
      }),
    );
  });

  test('rounds halves to even, up where both sides are halved', () => {
    expect([...averageArea(twoRows([0, 1, 0, 1, 2, 3, 2, 3]), [2, 1]).data]).toEqual([2, 2]); // 6/4 and 6/4
    expect([...averageArea(twoRows([0, 1, 0, 1]), [1, 1]).data]).toEqual([1]); // 2/4
    expect([...averageArea(twoRows([0, 0, 1, 1]), [2, 1]).data]).toEqual([0, 0]); // 1/2, only one side
  });
});

describe('Lanczos', () => {
  test('is the same upside down, within its rounding', () => {
    fc.assert(
      fc.property(picture, size, (pixels, to) => {
        // passes round in between and taps near a half fall to one side: see the fixed-point weights
        const result = resizeLanczos(pixels, to);
        const other = turned(resizeLanczos(turned(pixels), to));
        if (pixels.channels !== 4) expect(other.data).toBeAllClose(result.data, { atol: 2 });
      }),
    );
  });

  test('takes a seventh sample where rounding asks for it, in the last result too', () => {
    const row: Pixels = { width: 59, height: 1, channels: 1, data: Uint8Array.from({ length: 59 }, (_, i) => i * 37) };
    const whole = resizeLanczos(row, [195, 1]).data;
    const part = resizeLanczos(row, [195, 1], [0, 0, 98, 1]).data; // 97 is such a one
    expect(part).toEqual(whole.subarray(0, 98));
  });

  test('treats channels alike', () => {
    fc.assert(
      fc.property(picture, size, (pixels, to) => {
        if (pixels.channels !== 3) return;
        const colours = resizeLanczos(pixels, to).data;
        for (let c = 0; c < 3; c++) {
          const alone = pixels.data.filter((_, i) => i % 3 === c);
          const grey = resizeLanczos({ ...pixels, channels: 1, data: alone }, to);
          expect(grey.data).toEqual(colours.filter((_, i) => i % 3 === c));
        }
      }),
    );
  });

  test('overshoots at an edge and stays in range', () => {
    const data = Uint8Array.from({ length: 16 }, (_, i) => (i % 16 < 8 ? 40 : 200));
    const { data: row } = resizeLanczos({ width: 16, height: 1, channels: 1, data }, [64, 1]);
    expect(Math.min(...row)).toBeLessThan(40);
    expect(Math.max(...row)).toBeGreaterThan(200);
    const extreme = Uint8Array.from(data, (value) => (value < 100 ? 0 : 255));
    const clipped = resizeLanczos({ width: 16, height: 1, channels: 1, data: extreme }, [64, 1]).data;
    expect(clipped.filter((value) => value > 128)).toHaveLength(32);
  });

  test('lets no colour of transparent pixels through', () => {
    const red = [255, 0, 0, 255];
    const hiddenGreen = [0, 255, 0, 0];
    const data = Uint8Array.from([red, red, hiddenGreen, hiddenGreen].flat());
    const resized = resizeLanczos({ width: 4, height: 1, channels: 4, data }, [16, 1]);
    for (let i = 0; i < 16; i++) if ((resized.data[4 * i + 3] ?? 0) > 16) expect(resized.data[4 * i + 1]).toBe(0);
  });
});
