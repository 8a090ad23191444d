import { expect, test } from 'vitest';

import { readAhead } from './read-ahead.ts';

/** A loader that counts what is under way and finishes later loads first. */
function createLoader() {
  const state = { started: 0, finished: 0 };
  const load = async (index: number) => {
    state.started++;
    await new Promise((resolve) => setTimeout(resolve, index % 2 === 0 ? 4 : 0));
    state.finished++;
    if (index === 7) throw new Error('seven');
    return index;
  };
  return { state, load };
}

test('keeps the order and never more than asked for ahead', async () => {
  const { state, load } = createLoader();
  const seen: number[] = [];
  for await (const index of readAhead([0, 1, 2, 3, 4, 5], load, 3)) {
    seen.push(index);
    expect(state.started).toBeLessThanOrEqual(seen.length + 3);
  }
  expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
});

test('reports a failure in its turn and waits for what is under way', async () => {
  const { state, load } = createLoader();
  const seen: number[] = [];
  const read = async () => {
    for await (const index of readAhead([5, 6, 7, 8, 9, 10, 11], load, 2)) seen.push(index);
  };
  await expect(read()).rejects.toThrow('seven');
  expect(seen).toEqual([5, 6]);
  expect(state.finished).toBe(state.started);
});

test('stops with its caller', async () => {
  const { state, load } = createLoader();
  for await (const index of readAhead([0, 1, 2, 3, 4], load, 1)) if (index === 1) break;
  expect(state).toEqual({ started: 3, finished: 3 });
});
