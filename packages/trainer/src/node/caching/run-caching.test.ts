import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import type { CachingProgress } from './hooks.ts';
import { type CachingRun, type CachingWork, runCaching } from './run-caching.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'musubi-caching-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function setUp(batches: readonly (readonly string[])[][], options: Partial<CachingRun<string>> = {}) {
  const calls: string[] = [];
  const stale = join(folder, 'stale');
  const works = batches.map((all, index): CachingWork<string> => {
    const journal = {
      continues: false,
      isDone: async () => false,
      add: async (caches: readonly string[]) => void calls.push(`note ${caches.join('+')}`),
      finish: async () => void calls.push(`end ${index}`),
    };
    const dataset = { staleCaches: async () => (existsSync(stale) ? [stale] : []) };
    return {
      dataset,
      kind: 'latents',
      journal,
      kept: index,
      total: all.flat().length,
      cacheOf: (item) => `${item}.cache`,
      batches: () => all,
    };
  });
  const run: CachingRun<string> = {
    works,
    batchSize: null,
    keepCache: false,
    write: async (items) => void calls.push(items.join('+')),
    ...options,
  };
  return { run, calls, stale };
}

test('encodes batch after batch, at most as many at once as asked, and counts', async () => {
  const { run, calls } = setUp([[['a', 'b', 'c'], ['d']], [['e', 'f']]], { batchSize: 2 });
  const progress: CachingProgress[] = [];
  const outcome = await runCaching(run, { onProgress: (state) => progress.push(state) });
  expect(calls).toEqual([
    'a+b',
    'note a.cache+b.cache',
    'c',
    'note c.cache',
    'd',
    'note d.cache',
    'end 0',
    'e+f',
    'note e.cache+f.cache',
    'end 1',
  ]);
  expect(outcome).toEqual({ status: 'finished', written: 6, kept: 1, removed: 0 });
  expect(progress.map(({ items }) => items)).toEqual([0, 2, 3, 4, 6]);
  expect(progress.every(({ totalItems }) => totalItems === 6)).toBe(true);
});

test('an abort is heeded after the batch; nothing is removed and no journal ends', async () => {
  const controller = new AbortController();
  const { run, calls, stale } = setUp([[['a'], ['b']]], { write: async () => controller.abort() });
  await writeFile(stale, '');
  const outcome = await runCaching(run, { signal: controller.signal });
  expect(outcome).toEqual({ status: 'interrupted', written: 1, kept: 0, removed: 0 });
  expect(calls).toEqual(['note a.cache']);
  expect(existsSync(stale)).toBe(true);
});

test.each([
  { keepCache: false, removed: 1, said: /^removing .*stale, which belongs to no item/ },
  { keepCache: true, removed: 0, said: /^1 cache file is kept that belongs to no item any more$/ },
])('with keepCache $keepCache, $removed files are removed', async ({ keepCache, removed, said }) => {
  const { run, stale } = setUp([[['a']]], { keepCache });
  await writeFile(stale, '');
  const lines: string[] = [];
  expect((await runCaching(run, { logger: (line) => lines.push(line) })).removed).toBe(removed);
  expect(existsSync(stale)).toBe(keepCache);
  expect(lines.join('\n')).toMatch(said);
});

test('does not ask for batches where nothing is to be encoded', async () => {
  const { run, calls } = setUp([[]]);
  const [work] = run.works;
  const idle = { ...(work as CachingWork<string>), total: 0, batches: () => expect.fail('asked') };
  await runCaching({ ...run, works: [idle] }, {});
  expect(calls).toEqual(['end 0']);
});
