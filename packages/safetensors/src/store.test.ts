import { describe, expect, test } from 'vitest';
import { f32, makeFile } from '../tests/make-file.ts';
import { blobSource, bytesSource, encodeSafetensors, openSafetensors } from './index.ts';

const one = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const pad = (start: Uint8Array) => new Uint8Array([...start, ...new Uint8Array(64)]);

const two = (a: [number, number], b: [number, number], data = 8) =>
  makeFile(
    {
      a: { dtype: 'U8', shape: [a[1] - a[0]], data_offsets: a },
      b: { dtype: 'U8', shape: [b[1] - b[0]], data_offsets: b },
    },
    new Uint8Array(data),
  );
const entry = (changes: object) => makeFile({ a: { ...one, ...changes } }, f32(1));

describe('openSafetensors', () => {
  test('reads names, shapes, metadata and values', async () => {
    const header = { __metadata__: { format: 'pt' }, a: { dtype: 'F32', shape: [1, 2], data_offsets: [0, 8] } };
    const store = await openSafetensors(bytesSource(makeFile(header, f32(1.5, -2)), 'x.safetensors'));
    const offset = 8 + JSON.stringify(header).length;
    expect(store.metadata).toEqual({ format: 'pt' });
    expect([...store.tensors.values()]).toEqual([
      { name: 'a', dtype: 'F32', shape: [1, 2], source: 'x.safetensors', offset, byteLength: 8 },
    ]);
    expect(await store.readFloat32('a')).toEqual(Float32Array.of(1.5, -2));
    expect(await store.read('a')).toEqual(f32(1.5, -2));
  });

  test('reads a Blob by ranges', async () => {
    const file = makeFile({ a: one }, f32(3));
    const store = await openSafetensors(blobSource(new Blob([file as Uint8Array<ArrayBuffer>])));
    expect(await store.readFloat32('a')).toEqual(Float32Array.of(3));
  });

  test('gives memory that does not alias the file', async () => {
    const file = makeFile({ a: one }, f32(3));
    const store = await openSafetensors(bytesSource(file));
    (await store.readFloat32('a'))[0] = 7;
    (await store.read('a')).fill(9);
    expect(await store.readFloat32('a')).toEqual(Float32Array.of(3));
  });

  test('reads empty tensors, scalars and a file without tensors', async () => {
    const file = await encodeSafetensors([
      { name: 'none', dtype: 'F32', shape: [0, 3], data: new Uint8Array() },
      { name: 'scalar', dtype: 'F32', shape: [], data: f32(4) },
    ]);
    const store = await openSafetensors(bytesSource(file));
    expect(await store.readFloat32('none')).toEqual(new Float32Array());
    expect(await store.readFloat32('scalar')).toEqual(Float32Array.of(4));
    expect((await openSafetensors(bytesSource(makeFile({})))).tensors.size).toBe(0);
  });

  test('names the nearest tensor for one that is not there', async () => {
    const store = await openSafetensors(bytesSource(makeFile({ 'blocks.0.q.weight': one }, f32(1)), 'x'));
    await expect(store.read('blocks.0.k.weight')).rejects.toMatchObject({
      code: 'TENSOR_NOT_FOUND',
      nearest: 'blocks.0.q.weight',
      message: 'x: has no tensor "blocks.0.k.weight" among its 1. Did you mean "blocks.0.q.weight"?',
    });
  });

  test('says so when the file shrinks while it is open', async () => {
    const source = bytesSource(makeFile({ a: one }, f32(1)));
    let end = source.size;
    const shrinking = {
      ...source,
      read: (offset: number, length: number) => source.read(offset, Math.min(length, end - offset)),
    };
    const store = await openSafetensors(shrinking);
    end -= 1;
    await expect(store.read('a')).rejects.toMatchObject({ code: 'TRUNCATED', tensor: 'a' });
  });

  test.each([
    ['an empty file', new Uint8Array(), 'TRUNCATED'],
    ['a file of five bytes', new Uint8Array(5), 'TRUNCATED'],
    ['a header that is cut', makeFile({ a: one }).subarray(0, 30), 'TRUNCATED'],
    ['data that are cut', makeFile({ a: one }, f32(1)).subarray(0, -1), 'TRUNCATED'],
    ['a header over 100 MB', new Uint8Array([1, 0xe1, 0xf5, 5, 0, 0, 0, 0, 0x7b, 0, 0]), 'HEADER_TOO_LARGE'],
    ['a header of 2^64 - 1 bytes', new Uint8Array(16).fill(255), 'HEADER_TOO_LARGE'],
    ['a header of no bytes', new Uint8Array(8), 'HEADER_NOT_JSON'],
    ['a header that is not JSON', makeFile('{"a":'), 'HEADER_NOT_JSON'],
    ['a header that is not UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff), 'HEADER_NOT_JSON'],
    ['a header that is a list', makeFile('[]'), 'HEADER_INVALID'],
    ['an entry that is no object', makeFile({ a: 3 }), 'HEADER_INVALID'],
    ['an entry without dtype', entry({ dtype: 1 }), 'HEADER_INVALID'],
    ['an entry without shape', entry({ shape: 'x' }), 'HEADER_INVALID'],
    ['a negative size', entry({ shape: [-1] }), 'HEADER_INVALID'],
    ['a size with a fraction', entry({ shape: [0.5] }), 'HEADER_INVALID'],
    ['a product of sizes over 2^53', entry({ shape: [2 ** 30, 2 ** 30] }), 'HEADER_INVALID'],
    ['one offset', entry({ data_offsets: [0] }), 'HEADER_INVALID'],
    ['metadata that are no texts', makeFile({ __metadata__: { a: 1 } }), 'HEADER_INVALID'],
    ['metadata that are a list', makeFile({ __metadata__: [] }), 'HEADER_INVALID'],
    ['an unknown dtype', entry({ dtype: 'F33' }), 'UNKNOWN_DTYPE'],
    ['a dtype that is a method of objects', entry({ dtype: 'toString' }), 'UNKNOWN_DTYPE'],
    ['a size that does not fit', entry({ shape: [2] }), 'SIZE_MISMATCH'],
    ['offsets that run backwards', entry({ data_offsets: [4, 0] }), 'OFFSETS_OUT_OF_RANGE'],
    ['a negative offset', entry({ data_offsets: [-4, 0] }), 'OFFSETS_OUT_OF_RANGE'],
    ['an offset over 2^53', entry({ data_offsets: [2 ** 60, 2 ** 60 + 2 ** 20] }), 'OFFSETS_OUT_OF_RANGE'],
    ['a tensor far behind the end', two([0, 4], [1000, 1004]), 'OFFSETS_OUT_OF_RANGE'],
    ['overlapping tensors', two([0, 5], [4, 8]), 'OFFSETS_OVERLAP'],
    ['a tensor inside another', two([0, 8], [2, 4]), 'OFFSETS_OVERLAP'],
    ['a hole between tensors', two([0, 3], [4, 8]), 'OFFSETS_HOLE'],
    ['a hole before the first tensor', two([1, 4], [4, 8]), 'OFFSETS_HOLE'],
    ['bytes after the last tensor', two([0, 4], [4, 8], 9), 'OFFSETS_HOLE'],
    [
      'the same name twice',
      makeFile(`{"a":${JSON.stringify(one)},"a":${JSON.stringify(one)}}`, f32(1)),
      'DUPLICATE_KEY',
    ],
    ['the same name in two spellings', makeFile('{"a":1,"\\u0061":1}'), 'DUPLICATE_KEY'],
    ['the same field twice', makeFile('{"a":{"dtype":"F32","dtype":"U8"}}'), 'DUPLICATE_KEY'],
  ])('refuses %s', async (_, file, code) => {
    await expect(openSafetensors(bytesSource(file, 'x'))).rejects.toMatchObject({
      name: 'SafetensorsError',
      code,
      file: 'x',
    });
  });

  test('names file, tensor, found and expected', async () => {
    const found = openSafetensors(bytesSource(entry({ shape: [2] }), 'dit.safetensors')).catch(
      (error: Error) => error.message,
    );
    expect(await found).toMatchInlineSnapshot(
      `"dit.safetensors: tensor "a" has 4 bytes, but F32 [2] needs 8 (4 an element). The file is damaged or was written by a faulty tool: download or make it again."`,
    );
  });

  test.each([
    ['a zip archive', pad(bytes('PK\x03\x04')), /zip archive.*PyTorch/],
    ['a pickle', pad(bytes('\x80\x02}q\x00')), /pickle.*PyTorch/],
    ['GGUF', pad(bytes('GGUF\x03\x00\x00\x00')), /GGUF/],
    ['a Git LFS pointer', bytes('version https://git-lfs.github.com/spec/v1\n'), /Git LFS/],
    ['a web page', bytes('<!DOCTYPE html><html><body>Not found</body></html>'), /web page/],
    ['JSON', bytes('{"weight_map": {"a": "b"}}'), /JSON/],
    ['a short pickle', bytes('\x80\x04N.'), /pickle/],
  ])('recognises %s', async (_, file, looksLike) => {
    await expect(openSafetensors(bytesSource(file, 'x'))).rejects.toMatchObject({
      code: 'NOT_SAFETENSORS',
      looksLike: expect.stringMatching(looksLike),
    });
  });
});
