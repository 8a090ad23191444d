import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeSafetensors, serializeSafetensors } from '../src/index.ts';
import {
  fillSafetensorsFile,
  openCheckpointFile,
  openSafetensorsFile,
  writeFileAtomic,
  writeSafetensorsFile,
} from '../src/node.ts';
import { f32 } from './make-file.ts';
import { bytes, global, reduce, text } from './make-pickle.ts';
import { pthOf } from './make-pth.ts';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'musubi-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const tensor = (name: string, ...values: number[]) =>
  ({ name, dtype: 'F32', shape: [values.length], data: f32(...values) }) as const;
const write = async (name: string, ...tensors: ReturnType<typeof tensor>[]) =>
  writeFileSync(join(folder, name), await encodeSafetensors(tensors));

async function* oneByOne<T>(...items: T[]) {
  yield* items;
}

describe('writeSafetensorsFile', () => {
  test('writes the bytes that encodeSafetensors gives, and nothing else', async () => {
    const tensors = [tensor('b', 1, 2), { ...tensor('a', 3), data: async () => f32(3) }];
    await writeSafetensorsFile(join(folder, 'x.safetensors'), tensors, { metadata: { k: 'v' } });
    expect(new Uint8Array(readFileSync(join(folder, 'x.safetensors')))).toEqual(
      await encodeSafetensors(tensors, { metadata: { k: 'v' } }),
    );
    expect(readdirSync(folder)).toEqual(['x.safetensors']);
  });

  test('takes an async iterable', async () => {
    await writeSafetensorsFile(join(folder, 'x.safetensors'), oneByOne(tensor('a', 1)));
    const store = await openSafetensorsFile(join(folder, 'x.safetensors'));
    expect(await store.readFloat32('a')).toEqual(Float32Array.of(1));
    await store.close();
  });

  test.each([
    [
      'data fail to come',
      { ...tensor('b', 1), data: () => Promise.reject(new Error('no data')) },
      { message: 'no data' },
    ],
    ['data do not fit', { ...tensor('b', 1), data: f32() }, { code: 'SIZE_MISMATCH' }],
  ])('keeps the old file and no temporary one when %s', async (_, bad, error) => {
    writeFileSync(join(folder, 'x.safetensors'), 'old');
    await expect(writeSafetensorsFile(join(folder, 'x.safetensors'), [tensor('a', 1), bad])).rejects.toMatchObject(
      error,
    );
    expect(readFileSync(join(folder, 'x.safetensors'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['x.safetensors']);
  });

  test('is also written by others, in any order', async () => {
    const tensors = [tensor('b', 1, 2), tensor('a', 3)];
    const path = join(folder, 'x.safetensors');
    await fillSafetensorsFile(path, tensors, { metadata: { k: 'v' } }, async ({ path: temporary, order }) => {
      expect(readdirSync(folder)).not.toContain('x.safetensors');
      const file = await open(temporary, 'r+');
      for (const { tensor: placed, offset } of order.toReversed()) await file.write(placed.data, 0, undefined, offset);
      await file.close();
    });
    expect(new Uint8Array(readFileSync(path))).toEqual(await encodeSafetensors(tensors, { metadata: { k: 'v' } }));

    const failing = fillSafetensorsFile(path, tensors, {}, () => Promise.reject(new Error('no data')));
    await expect(failing).rejects.toThrow('no data');
    expect(readdirSync(folder)).toEqual(['x.safetensors']);
  });

  test('says that the folder is missing', async () => {
    await expect(writeSafetensorsFile(join(folder, 'no', 'x.safetensors'), [])).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      remedy: 'Create its folder first.',
    });
  });

  test('does not replace a folder', async () => {
    await mkdir(join(folder, 'x', 'y'), { recursive: true });
    await expect(writeFileAtomic(join(folder, 'x'), 'text')).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    expect(readdirSync(folder)).toEqual(['x']);
  });
});

test('writeFileAtomic replaces text', async () => {
  await writeFileAtomic(join(folder, 'a.json'), 'old');
  await writeFileAtomic(join(folder, 'a.json'), '{"ä":1}');
  expect(readFileSync(join(folder, 'a.json'), 'utf8')).toBe('{"ä":1}');
});

describe('openSafetensorsFile', () => {
  test('opens all shards from any of them, and from the index', async () => {
    await write('m-00001-of-00002.safetensors', tensor('a', 1));
    await write('m-00002-of-00002.safetensors', tensor('b', 2));
    const weight_map = { a: 'm-00001-of-00002.safetensors', b: 'm-00002-of-00002.safetensors' };
    writeFileSync(join(folder, 'm.safetensors.index.json'), JSON.stringify({ weight_map }));
    for (const name of ['m-00002-of-00002.safetensors', 'm.safetensors.index.json']) {
      const store = await openSafetensorsFile(join(folder, name));
      expect(await store.readFloat32('a')).toEqual(Float32Array.of(1));
      expect(await store.readFloat32('b')).toEqual(Float32Array.of(2));
      expect(store.tensors.get('a')!.source).toBe(join(folder, 'm-00001-of-00002.safetensors'));
      await store.close();
    }
  });

  test('names missing shards', async () => {
    await write('m-00001-of-00003.safetensors', tensor('a', 1));
    await expect(openSafetensorsFile(join(folder, 'm-00001-of-00003.safetensors'))).rejects.toMatchObject({
      code: 'MISSING_SHARD',
      message: expect.stringContaining(
        '2 of 3 shards are missing: m-00002-of-00003.safetensors, m-00003-of-00003.safetensors.',
      ),
    });
  });

  test.each([
    ['a file that is not there', 'no.safetensors', 'FILE_NOT_FOUND'],
    ['a set that is not there', 'no-00001-of-00002.safetensors', 'FILE_NOT_FOUND'],
    ['an index that is not there', 'no.safetensors.index.json', 'FILE_NOT_FOUND'],
    ['a folder', '', 'IS_A_FOLDER'],
  ])('refuses %s', async (_, name, code) => {
    await expect(openSafetensorsFile(join(folder, name))).rejects.toMatchObject({ name: 'SafetensorsError', code });
  });

  test('reads tensors beyond 4 GiB', async () => {
    // A sparse file: 5 GiB long, a few blocks on the disk.
    const size = 5 * 2 ** 30;
    const { header, order, byteLength } = serializeSafetensors([
      { name: 'big', dtype: 'U8', shape: [5, 2 ** 30] },
      { name: 'half', dtype: 'BF16', shape: [2] },
      { name: 'tail', dtype: 'BOOL', shape: [3] },
    ]);
    const path = join(folder, 'big.safetensors');
    const file = await open(path, 'w');
    await file.write(header, 0, header.byteLength, 0);
    await file.truncate(byteLength);
    const tail = order.at(-1)!;
    expect(tail.offset).toBeGreaterThan(size);
    await file.write(Uint8Array.of(1, 0, 1), 0, 3, tail.offset);
    await file.close();

    const store = await openSafetensorsFile(path);
    expect(store.tensors.get('tail')).toMatchObject({ offset: tail.offset, byteLength: 3 });
    expect(await store.readFloat32('tail')).toEqual(Float32Array.of(1, 0, 1));
    await store.close();
  });
});

const put = (name: string, content: Uint8Array) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

describe('openCheckpointFile', () => {
  test('goes by the first bytes, not by the name', async () => {
    const store = await openCheckpointFile(put('a.safetensors', pthOf()));
    expect(await store.readFloat32('w')).toEqual(Float32Array.of(0, 1, 2, 3, 4, 5));
    await store.close();
    const other = await openCheckpointFile(put('a.pth', await encodeSafetensors([tensor('w', 7)])));
    expect(await other.readFloat32('w')).toEqual(Float32Array.of(7));
    await other.close();
  });

  test('takes a safetensors file whose length begins like a zip archive for one', async () => {
    const length = 0x04034b50;
    const path = put('a.safetensors', new Uint8Array());
    const file = await open(path, 'w');
    const start = new Uint8Array(16).fill(0x20);
    new DataView(start.buffer).setBigUint64(0, BigInt(length), true);
    start[8] = 0x7b;
    await file.write(start, 0, 16, 0);
    await file.truncate(8 + length); // zeros, which are no JSON
    await file.close();
    await expect(openCheckpointFile(path)).rejects.toMatchObject({ code: 'HEADER_NOT_JSON' });
  });

  test('opens all shards from any of them, and from the index', async () => {
    await write('m-00001-of-00002.safetensors', tensor('a', 1));
    await write('m-00002-of-00002.safetensors', tensor('b', 2));
    const weight_map = { a: 'm-00001-of-00002.safetensors', b: 'm-00002-of-00002.safetensors' };
    writeFileSync(join(folder, 'm.safetensors.index.json'), JSON.stringify({ weight_map }));
    for (const name of ['m-00002-of-00002.safetensors', 'm.safetensors.index.json']) {
      const store = await openCheckpointFile(join(folder, name));
      expect([...store.tensors.keys()]).toEqual(['a', 'b']);
      await store.close();
    }
  });

  test.each([
    ['a file that is not there', 'no.pth', 'FILE_NOT_FOUND'],
    ['a set that is not there', 'no-00001-of-00002.safetensors', 'FILE_NOT_FOUND'],
    ['an index that is not there', 'no.safetensors.index.json', 'FILE_NOT_FOUND'],
    ['a folder', '', 'IS_A_FOLDER'],
  ])('refuses %s', async (_, name, code) => {
    await expect(openCheckpointFile(join(folder, name))).rejects.toMatchObject({ name: 'SafetensorsError', code });
  });

  test.each([
    ['an empty file', new Uint8Array(), 'TRUNCATED'],
    ['GGUF', bytes('GGUF', new Uint8Array(64)), 'NOT_SAFETENSORS'],
    ['a PyTorch file that is cut', pthOf().subarray(0, 100), 'ZIP_DAMAGED'],
    ['a PyTorch file that wants to call', pthOf(reduce(global('os', 'system'), text('id'))), 'PICKLE_REFUSED'],
  ])('names the file when it is %s', async (_, content, code) => {
    const path = put('x.pth', content);
    await expect(openCheckpointFile(path)).rejects.toMatchObject({
      code,
      file: path,
      remedy: expect.stringMatching(/\S/),
    });
    rmSync(path); // on Windows only if it is closed
  });
});
