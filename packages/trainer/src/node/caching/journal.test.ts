import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { openJournal } from './journal.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'musubi-journal-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (settings: unknown = { dtype: 'bf16' }) => openJournal(folder, 'wan_latents', settings);
const write = async (name: string) => {
  await writeFile(join(folder, name), 'x');
  return join(folder, name);
};
/** Moves the time of a file, in seconds from now. */
const shift = (path: string, seconds: number) => {
  const time = Date.now() / 1000 + seconds;
  return utimes(path, time, time);
};

test('a first run has done nothing, whatever lies in the folder', async () => {
  const source = await write('a.png');
  const cache = await write('a_wan.safetensors');
  const journal = await open();
  expect(journal.continues).toBe(false);
  expect(await journal.isDone(cache, [source])).toBe(false);
});

test('a run that was stopped is continued: what was written since its start is done', async () => {
  const source = await write('a.png');
  const old = await write('old_wan.safetensors');
  await shift(old, -60);
  await open();
  const cache = await write('a_wan.safetensors');
  await shift(cache, 1);

  const journal = await open();
  expect(journal.continues).toBe(true);
  expect(await journal.isDone(cache, [source])).toBe(true);
  expect(await journal.isDone(old, [])).toBe(false);
  expect(await journal.isDone(join(folder, 'missing_wan.safetensors'), [])).toBe(false);
});

test('a cache whose source changed afterwards, or is gone, is made again', async () => {
  await open();
  const cache = await write('a_wan.safetensors');
  await shift(cache, 1);
  const changed = await write('changed.png');
  await shift(changed, 2);
  const journal = await open();
  expect(await journal.isDone(cache, [changed])).toBe(false);
  expect(await journal.isDone(cache, [join(folder, 'gone.png')])).toBe(false);
});

test('other settings start afresh', async () => {
  await open();
  const cache = await write('a_wan.safetensors');
  await shift(cache, 1);
  const journal = await open({ dtype: 'fp16' });
  expect(journal.continues).toBe(false);
  expect(await journal.isDone(cache, [])).toBe(false);
});

test('a finished run leaves nothing', async () => {
  const journal = await open();
  await journal.finish();
  expect(await readdir(folder)).toEqual([]);
  expect((await open()).continues).toBe(false);
});
