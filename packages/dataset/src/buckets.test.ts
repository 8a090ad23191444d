import fc from 'fast-check';
import { expect, test } from 'vitest';

import { bucketList, createBucketSelector } from './buckets.ts';

test.each([
  { side: 64, size: [17, 40], bucket: [32, 128], other: [48, 80] },
  { side: 96, size: [24, 20], bucket: [96, 96], other: [112, 80] },
] as const)('of equally near buckets the first in the list is taken ($size)', ({ side, size, bucket, other }) => {
  const aspect = size[0] / size[1];
  expect(Math.abs(bucket[0] / bucket[1] - aspect)).toBe(Math.abs(other[0] / other[1] - aspect));
  const select = createBucketSelector({ resolution: [side, side], enableBucket: true, bucketNoUpscale: false });
  expect(select(size)).toEqual(bucket);
});

test('buckets are sorted, unique, closed under turning, in steps, and no larger than the resolution', () => {
  const side = fc.integer({ min: 64, max: 4096 });
  fc.assert(
    fc.property(side, side, (width, height) => {
      const buckets = bucketList([width, height]);
      const names = buckets.map(([w, h]) => `${w}x${h}`);
      expect(new Set(names).size).toBe(names.length);
      expect(buckets).toEqual(buckets.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]));
      for (const [w, h] of buckets) {
        expect(names).toContain(`${h}x${w}`);
        expect(w % 16 || h % 16).toBe(0);
        expect(w * h).toBeLessThanOrEqual(width * height);
      }
    }),
  );
});
