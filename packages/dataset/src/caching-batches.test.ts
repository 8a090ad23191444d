import { expect, test } from 'vitest';

import { groupForCaching } from './caching-batches.ts';

const item = (name: string, ...batchKey: number[]) => ({ name, batchKey });

test('batches come as they fill up, the rest as their keys were first met since', () => {
  const items = [item('a', 1), item('b', 2), item('c', 1), item('d', 3), item('e', 1), item('f', 2, 2)];
  const batches = groupForCaching(items, 2).map(({ key, items: members }) => [key, members.map(({ name }) => name)]);
  expect(batches).toEqual([
    [[1], ['a', 'c']],
    [[2], ['b']],
    [[3], ['d']],
    [[1], ['e']],
    [[2, 2], ['f']],
  ]);
});
