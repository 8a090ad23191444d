import { expect, test } from 'vitest';

import { allowedThreads } from './allowed-threads.ts';

test('allowedThreads is a number only where not all processors may be used', () => {
  expect(allowedThreads(4, 16)).toBe(4);
  expect(allowedThreads(16, 16)).toBeUndefined();
  // a sandbox may hide the list of processors
  expect(allowedThreads(16, 0)).toBeUndefined();
});
