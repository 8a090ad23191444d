import { describe, expect, test } from 'vitest';

import { hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { bucketList, controlBucket, createBucketSelector, resizeGeometry, type Size } from '../src/index.ts';

interface Golden {
  bucket_lists: { resolution: Size; architectures: string[]; step: number; buckets: Size[] }[];
  cases: {
    resolution: Size;
    enable_bucket: boolean;
    bucket_no_upscale: boolean;
    images: { size: Size; bucket: Size; method: string; resized?: Size; crop?: number[] }[];
  }[];
  control_cases: { size: Size; control_resolution: Size; result: Size }[];
}

const golden: Golden = hasGolden('dataset', 'buckets.json')
  ? readGoldenJson('dataset', 'buckets.json')
  : { bucket_lists: [], cases: [], control_cases: [] };

test.each(golden.bucket_lists)('buckets of $resolution in steps of $step', ({ resolution, step, buckets }) => {
  expect(bucketList(resolution, step)).toEqual(buckets);
});

describe.each(golden.cases)('$resolution, bucketing $enable_bucket, no upscale $bucket_no_upscale', (one) => {
  const select = createBucketSelector({
    resolution: one.resolution,
    enableBucket: one.enable_bucket,
    bucketNoUpscale: one.bucket_no_upscale,
  });

  test.each(one.images)('$size', ({ size, bucket, method, resized, crop }) => {
    expect(select(size)).toEqual(bucket);
    if (method === 'invalid') {
      expect(Math.min(...select(size))).toBe(0);
      return;
    }
    const geometry = resizeGeometry(size, bucket);
    expect(geometry.method ?? 'none').toBe(method);
    if (resized) expect(geometry).toMatchObject({ resized, crop });
  });
});

test.each(golden.control_cases)(
  'control image $size in $control_resolution',
  ({ size, control_resolution, result }) => {
    expect(controlBucket(size, control_resolution)).toEqual(result);
  },
);

test('every kind of case is there in the default folder', () => {
  if (!isDefaultGolden) return;
  expect(golden.bucket_lists.length).toBeGreaterThan(0);
  expect(golden.cases.length).toBeGreaterThan(0);
  expect(golden.control_cases.length).toBeGreaterThan(0);
});
