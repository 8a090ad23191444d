import { describe, expect, test } from 'vitest';
import { f32, makeFile } from '../tests/make-file.ts';
import { bytesSource, openShards, parseShardIndex, shardNames } from './index.ts';

const shard = (file: string, tensor: string, value = 1) =>
  bytesSource(
    makeFile(
      { __metadata__: { from: file }, [tensor]: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } },
      f32(value),
    ),
    file,
  );
const first = shard('m-00001-of-00002.safetensors', 'a', 1);
const second = shard('m-00002-of-00002.safetensors', 'b', 2);

const index = (map: object) => parseShardIndex(JSON.stringify({ weight_map: map }), 'i.json');

describe('openShards', () => {
  test('makes one store of all shards', async () => {
    const store = await openShards([first, second]);
    expect([...store.tensors.keys()]).toEqual(['a', 'b']);
    expect(await store.readFloat32('b')).toEqual(Float32Array.of(2));
    expect(store.metadata).toEqual({ from: first.name });
  });

  test('follows an index', async () => {
    const list = index({ a: 'one.safetensors', b: 'two.safetensors' });
    const store = await openShards([shard('dir/one.safetensors', 'a'), shard('C:\\dir\\two.safetensors', 'b')], list);
    expect(store.tensors.size).toBe(2);
  });

  test.each([
    ['a missing shard, by its name', [first], undefined, 'MISSING_SHARD'],
    ['a missing shard, by the index', [first], index({ a: first.name, b: second.name }), 'MISSING_SHARD'],
    ['a shard given twice', [first, second, first], undefined, 'DUPLICATE_SHARD'],
    ['a tensor in two shards', [first, shard(second.name, 'a')], undefined, 'DUPLICATE_TENSOR'],
    [
      'an index that names a tensor no shard has',
      [first, second],
      index({ a: first.name, c: second.name }),
      'INDEX_MISMATCH',
    ],
    [
      'an index that names the wrong shard',
      [first, second],
      index({ a: second.name, b: first.name }),
      'INDEX_MISMATCH',
    ],
    ['a damaged shard', [bytesSource(new Uint8Array(3), 'x')], undefined, 'TRUNCATED'],
  ])('refuses %s', async (_, sources, list, code) => {
    await expect(openShards(sources, list)).rejects.toMatchObject({ name: 'SafetensorsError', code });
  });
});

describe('parseShardIndex', () => {
  test.each([
    ['text', 'x', 'INDEX_INVALID'],
    ['null', 'null', 'INDEX_INVALID'],
    ['no weight_map', '{}', 'INDEX_INVALID'],
    ['a number for a file', '{"weight_map":{"a":1}}', 'INDEX_INVALID'],
    ['a path out of the folder', '{"weight_map":{"a":"../x.safetensors"}}', 'INDEX_INVALID'],
    ['a tensor twice', '{"weight_map":{"a":"x","a":"y"}}', 'DUPLICATE_KEY'],
  ])('refuses %s', (_, json, code) => {
    expect(() => parseShardIndex(json, 'i.json')).toThrow(expect.objectContaining({ name: 'SafetensorsError', code }));
  });
});

describe('shardNames', () => {
  test('lists the whole set', () => {
    expect(shardNames('a-00002-of-00003.safetensors')).toEqual([
      'a-00001-of-00003.safetensors',
      'a-00002-of-00003.safetensors',
      'a-00003-of-00003.safetensors',
    ]);
  });
  test.each([
    'a.safetensors',
    'a-00003-of-00002.safetensors',
    'a-00000-of-00002.safetensors',
    'a-1-of-99999999.safetensors',
  ])('sees no shard in %s', (name) => expect(shardNames(name)).toBeNull());
});
