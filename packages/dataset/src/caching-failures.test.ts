import { expect, test } from 'vitest';

import { createFailureLog, describeFailures } from './caching-failures.ts';
import { DatasetError } from './errors.ts';

const failure = (datasetIndex: number, key: string, what = 'x.') => ({
  datasetIndex,
  key,
  file: key,
  error: new DatasetError('PICTURE_UNREADABLE', what, 'Do this.'),
});

test('failures are listed in the order of the images, each image once', () => {
  const log = createFailureLog([['b', 'a'], ['a']]);
  for (const one of [failure(1, 'a'), failure(0, 'a', 'first.'), failure(0, 'b'), failure(0, 'a', 'second.')])
    log.add(one);
  expect(log.list().map(({ datasetIndex, key }) => `${datasetIndex} ${key}`)).toEqual(['0 b', '0 a', '1 a']);
  expect(log.list()[1]?.error.message).toBe('second. Do this.');
});

test('the summary counts and names them', () => {
  expect(describeFailures([])).toBe('');
  expect(describeFailures([failure(0, 'a')])).toBe('1 image was left out:\n  x. Do this.');
  expect(describeFailures([failure(0, 'a'), failure(0, 'b')])).toMatch(/^2 images were left out:\n/);
});
