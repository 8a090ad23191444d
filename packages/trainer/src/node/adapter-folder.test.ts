import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { makeConfig } from '../../tests/make-config.ts';
import { openAdapterFolder } from './adapter-folder.ts';

let outputDir: string;
beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), 'musubi-adapters-'));
});
afterEach(() => rm(outputDir, { recursive: true }));

async function openFolder() {
  const [onEvent, logger] = [vi.fn(), vi.fn()];
  const config = { ...(await makeConfig()), outputDir };
  // Nothing is written here.
  const unused = {} as Parameters<typeof openAdapterFolder>[0];
  return { folder: openAdapterFolder({ ...unused, config, onEvent, logger }), onEvent, logger };
}

test('an old file is removed and told', async () => {
  const { folder, onEvent } = await openFolder();
  await writeFile(join(outputDir, 'old.safetensors'), '');
  await folder.remove('old.safetensors');

  expect(await readdir(outputDir)).toEqual([]);
  expect(onEvent).toHaveBeenCalledExactlyOnceWith({ type: 'removed', path: join(outputDir, 'old.safetensors') });
});

test('one that is gone already is not told', async () => {
  const { folder, onEvent, logger } = await openFolder();
  await folder.remove('old.safetensors');
  expect(onEvent).not.toHaveBeenCalled();
  expect(logger).not.toHaveBeenCalled();
});

test('one that cannot be removed stays, and the run goes on', async () => {
  const { folder, onEvent, logger } = await openFolder();
  await mkdir(join(outputDir, 'old.safetensors'));
  await folder.remove('old.safetensors');

  expect(onEvent).not.toHaveBeenCalled();
  expect(logger).toHaveBeenCalledExactlyOnceWith(
    expect.stringContaining('old.safetensors could not be removed and stays'),
  );
});
