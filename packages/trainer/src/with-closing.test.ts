import { expect, test } from 'vitest';

import { withClosing } from './with-closing.ts';

/** Uses three things, of which those named fail to close. */
async function useThree(failing: readonly string[], use: () => string) {
  const closed: string[] = [];
  const outcome = withClosing(async (closing) => {
    for (const name of ['first', 'second', 'third']) {
      closing.push(async () => {
        closed.push(name);
        if (failing.includes(name)) throw new Error(`the ${name} cannot be closed`);
      });
    }
    return use();
  });
  return { outcome: await outcome.catch((error: Error) => error.message), closed };
}
const fails = (): string => {
  throw new Error('it failed');
};

const cases: readonly (readonly [string, readonly string[], () => string, string])[] = [
  ['gives what was computed', [], () => 'done', 'done'],
  ['tells what failed', [], fails, 'it failed'],
  ['tells what cannot be closed', ['second'], () => 'done', 'the second cannot be closed'],
  ['of several the one that came first', ['first', 'third'], () => 'done', 'the third cannot be closed'],
  ['but a fault before that goes first', ['first', 'second', 'third'], fails, 'it failed'],
];

test.each(cases)('%s, and closes all, the last first', async (_, failing, use, told) => {
  expect(await useThree(failing, use)).toEqual({ outcome: told, closed: ['third', 'second', 'first'] });
});

test('what is opened before a fault is closed', async () => {
  const closed: string[] = [];
  const outcome = withClosing((closing) => {
    closing.push(async () => void closed.push('file'));
    throw new Error('at once');
  });
  await expect(outcome).rejects.toThrow('at once');
  expect(closed).toEqual(['file']);
});
