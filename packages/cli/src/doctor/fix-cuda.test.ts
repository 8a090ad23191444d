import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { assertIntegrity, placeCuda, removeCuda } from './fix-cuda.ts';

let parent = '';
let folder = '';
const write = async (path: string, text: string) => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
};
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'musubi-fix-'));
  folder = join(parent, 'x64');
  await write(join(folder, 'libonnxruntime.so.1'), 'own');
});
afterEach(() => rm(parent, { recursive: true }));

async function fetchPackage(spec: string, to: string): Promise<void> {
  if (spec.startsWith('onnxruntime-node')) {
    await write(join(to, 'package/bin/napi-v6/linux/x64/libonnxruntime.so.1'), 'paired');
    return;
  }
  for (const name of ['cuda', 'shared', 'tensorrt']) {
    await write(join(to, `package/Plugins/Linux/x64/libonnxruntime_providers_${name}.so`), name);
  }
}
const runtime = () => readFile(join(folder, 'libonnxruntime.so.1'), 'utf8');

test('the pair takes the place of the libraries, and gives it back', async () => {
  await placeCuda(folder, { fetchPackage, whyUnusable: async () => null });
  expect(await runtime()).toBe('paired');
  expect((await readdir(folder)).toSorted()).toEqual([
    'libonnxruntime.so.1',
    'libonnxruntime_providers_cuda.so',
    'libonnxruntime_providers_shared.so',
  ]);
  await expect(placeCuda(folder, { fetchPackage, whyUnusable: async () => null })).rejects.toThrow('placed before');
  await removeCuda(folder);
  expect(await readdir(parent)).toEqual(['x64']);
  expect(await readdir(folder)).toEqual(['libonnxruntime.so.1']);
  await expect(removeCuda(folder)).rejects.toMatchObject({ code: 'FIX_FAILED' });
});

test.each([
  [
    'a download that fails',
    { fetchPackage: () => Promise.reject(new Error('offline')), whyUnusable: async () => null },
  ],
  ['a runtime that does not run', { fetchPackage, whyUnusable: async () => 'it crashes' }],
])('%s changes nothing', async (_, tools) => {
  await expect(placeCuda(folder, tools)).rejects.toMatchObject({ code: 'FIX_FAILED' });
  expect(await runtime()).toBe('own');
  expect(await readdir(parent)).toEqual(['x64']);
});

test.each([
  ['before the pair was in its place', () => rename(folder, `${folder}.before-cuda`)],
  [
    'before the pair was removed',
    async () => {
      await placeCuda(folder, { fetchPackage, whyUnusable: async () => null });
      await rename(folder, `${folder}.old`);
    },
  ],
  [
    'in the middle of removing it',
    async () => {
      await write(join(`${folder}.old`, 'rest'), 'of the last time');
      await placeCuda(folder, { fetchPackage, whyUnusable: async () => null });
    },
  ],
])('a program that ended %s is undone too', async (_, leave) => {
  await leave();
  await removeCuda(folder);
  expect(await runtime()).toBe('own');
  expect(await readdir(parent)).toEqual(['x64']);
});

test('what a program that was stopped has left is removed by the next', async () => {
  await write(`${folder}.new-abc123/runtime/part.tgz`, 'half');
  await placeCuda(folder, { fetchPackage, whyUnusable: async () => null });
  expect((await readdir(parent)).toSorted()).toEqual(['x64', 'x64.before-cuda']);
});

test('a file is taken with its hash only', async () => {
  const file = join(parent, 'package.tgz');
  await writeFile(file, 'contents');
  const hash = createHash('sha512').update('contents').digest('base64');
  await assertIntegrity(file, 'a@1.0.0', `sha512-${hash}`);
  await writeFile(file, 'other contents');
  await expect(assertIntegrity(file, 'a@1.0.0', `sha512-${hash}`)).rejects.toThrow(/^a@1\.0\.0 is another file/);
});
