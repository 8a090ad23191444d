import { appendFile, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { isSettled } from './file-facts.ts';
import { openJournal } from './journal.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'musubi-journal-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (settings: unknown = { dtype: 'bf16' }) => openJournal(folder, 'wan_latents', settings);
const write = async (name: string, content = 'x') => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};

/** A run that writes one cache and is stopped. */
async function stoppedRun(origin: { files?: readonly string[]; text?: string }): Promise<string> {
  const journal = await open();
  const cache = join(folder, 'a_wan.safetensors');
  await journal.isDone(cache, origin);
  await write('a_wan.safetensors');
  await journal.add([cache]);
  return cache;
}

test('a first run has done nothing, whatever lies in the folder', async () => {
  const source = await write('a.png');
  const cache = await write('a_wan.safetensors');
  const journal = await open();
  expect(journal.continues).toBe(false);
  expect(await journal.isDone(cache, { files: [source] })).toBe(false);
});

test('a run that was stopped is continued, also more than once: what it wrote is done', async () => {
  const source = await write('a.png');
  const other = await write('b_wan.safetensors');
  const cache = await stoppedRun({ files: [source] });
  for (let i = 0; i < 2; i++) {
    const journal = await open();
    expect(journal.continues).toBe(true);
    expect(await journal.isDone(cache, { files: [source] })).toBe(true);
    expect(await journal.isDone(other, { files: [source] })).toBe(false);
    expect(await journal.isDone(join(folder, 'missing_wan.safetensors'), { files: [source] })).toBe(false);
  }
});

describe('a cache is made again', () => {
  test('when its picture has another size or time, even an earlier one', async () => {
    const source = await write('a.png');
    const cache = await stoppedRun({ files: [source] });
    const { atime, mtime } = await stat(source);
    await utimes(source, atime, new Date(mtime.getTime() - 60_000));
    expect(await (await open()).isDone(cache, { files: [source] })).toBe(false);
  });

  test('when its picture was replaced by one of the same size and time', async () => {
    const source = await write('a.png');
    const past = new Date('2020-01-01T00:00:00Z');
    await utimes(source, past, past);
    const cache = await stoppedRun({ files: [source] });
    await new Promise((resolve) => setTimeout(resolve, 20)); // more than a step of the disk's clock
    await write('a.png', 'y');
    await utimes(source, past, past);
    expect(await (await open()).isDone(cache, { files: [source] })).toBe(false);
  });

  test('when its picture changed between its reading and the writing of the cache', async () => {
    const source = await write('a.png');
    const cache = join(folder, 'a_wan.safetensors');
    const journal = await open();
    await journal.isDone(cache, { files: [source] });
    await write('a.png', 'changed');
    await write('a_wan.safetensors');
    await journal.add([cache]);
    expect(await (await open()).isDone(cache, { files: [source] })).toBe(false);
  });

  test('when a picture is gone, is another one, or one more', async () => {
    const [source, control] = [await write('a.png'), await write('control.png')];
    const cache = await stoppedRun({ files: [source] });
    const journal = await open();
    expect(await journal.isDone(cache, { files: [control] })).toBe(false);
    expect(await journal.isDone(cache, { files: [source, control] })).toBe(false);
    expect(await journal.isDone(cache, { files: [join(folder, 'gone.png')] })).toBe(false);
  });

  test('when its caption changed', async () => {
    const cache = await stoppedRun({ text: 'a cat' });
    const journal = await open();
    expect(await journal.isDone(cache, { text: 'a dog' })).toBe(false);
    expect(await journal.isDone(cache, { text: 'a cat' })).toBe(true);
  });

  test('when another program has written it since', async () => {
    const source = await write('a.png');
    const cache = await stoppedRun({ files: [source] });
    await write('a_wan.safetensors', 'of another program');
    expect(await (await open()).isDone(cache, { files: [source] })).toBe(false);
  });

  test('with other settings, and again with the former ones', async () => {
    const cache = await stoppedRun({});
    const journal = await open({ dtype: 'fp16' });
    expect(journal.continues).toBe(false);
    expect(await journal.isDone(cache, {})).toBe(false);
    expect((await open()).continues).toBe(false);
  });
});

test('a line that was cut off costs only itself', async () => {
  const cache = await stoppedRun({ text: 'a cat' });
  const path = join(folder, '.musubi_wan_latents.jsonl');
  await appendFile(path, (await readFile(path, 'utf8')).slice(-40, -10));
  const journal = await open();
  expect(await journal.isDone(cache, { text: 'a cat' })).toBe(true);
  await journal.add([cache]);
  expect(await (await open()).isDone(cache, { text: 'a cat' })).toBe(true);
});

test.each(['', '\n', 'null', '{}\n{}\n', '\u0000'])('a file that is no note is replaced: %j', async (content) => {
  await write('.musubi_wan_latents.jsonl', content);
  expect((await open()).continues).toBe(false);
  expect((await open()).continues).toBe(true);
});

test('a finished run leaves nothing', async () => {
  const journal = await open();
  await journal.finish();
  expect(await readdir(folder)).toEqual([]);
  expect((await open()).continues).toBe(false);
});

test.each([
  { modifiedMs: 10_000, changedMs: 10_000, settled: false, what: 'just written on a disk with coarse times' },
  { modifiedMs: 8000, changedMs: 8000, settled: true, what: 'written a while ago' },
  { modifiedMs: 10_000.5, changedMs: 10_000.5, settled: true, what: 'just written on a disk with fine times' },
  { modifiedMs: 10_000, changedMs: 10_432.1, settled: true, what: 'copied with its time to such a disk' },
])('a picture $what is settled: $settled', ({ modifiedMs, changedMs, settled }) => {
  expect(isSettled({ path: 'a.png', bytes: 1, modifiedMs, changedMs }, 10_500)).toBe(settled);
});
