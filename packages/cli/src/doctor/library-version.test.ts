import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { engineVersion, findEngine } from '@musubi/runtime/node';
import { afterAll, expect, test } from 'vitest';

import { librariesOf } from './fix-cuda.ts';
import { libraryVersion } from './library-version.ts';

const folder = mkdtempSync(join(tmpdir(), 'musubi-library-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (content: string) => {
  const path = join(folder, 'library');
  writeFileSync(path, content, 'latin1');
  return path;
};

test.each([0, 100, 2 ** 20 - 20, 2 ** 20 - 10, 2 ** 20 - 2, 2 ** 20, 3 * 2 ** 20 - 7])('at byte %d', async (before) => {
  expect(await libraryVersion(file(`${'V'.repeat(before)}VERS_1.29.0\0\xff`))).toBe('1.29.0');
});

test('null without one', async () => {
  for (const content of ['', 'VERS_1.29', 'VERS_of\0', 'VERS_1.29.0'])
    expect(await libraryVersion(file(content))).toBeNull();
  expect(await libraryVersion(join(folder, 'none'))).toBeNull();
  expect(await libraryVersion(dirname(folder))).toBeNull();
});

test.runIf(process.platform === 'linux')('of the runtime that is installed', async () => {
  const folderOf = librariesOf(findEngine().path, process);
  expect(await libraryVersion(join(folderOf, 'libonnxruntime.so.1'))).toBe(engineVersion);
});
