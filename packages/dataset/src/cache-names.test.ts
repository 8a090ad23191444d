import { describe, expect, test } from 'vitest';

import {
  isLatentCacheName,
  latentCacheBase,
  latentCacheName,
  parseLatentCacheName,
  textCacheBase,
  textCacheName,
} from './cache-names.ts';

describe('parseLatentCacheName', () => {
  test.each([
    ['a.b_0640x0361_hv.safetensors', { base: 'a.b', width: 640, height: 361 }],
    ['a_1_0640x0361_hv.safetensors', { base: 'a_1', width: 640, height: 361 }],
    ['10240_12000x0361_hv.safetensors', { base: '10240', width: 12000, height: 361 }],
  ])('reads the image cache %s', (name, expected) => {
    expect(parseLatentCacheName(name, 'image')).toEqual(expected);
  });

  test.each([
    ['clip_00013-025_0960x0544_wan.safetensors', { start: 13, length: 25 }],
    ['clip_00013-025-0002_0960x0544_fp.safetensors', { start: 13, length: 25, section: 2 }],
  ])('reads the video cache %s', (name, crop) => {
    expect(parseLatentCacheName(name, 'video')).toEqual({ base: 'clip', width: 960, height: 544, crop });
  });

  test.each([
    ['wan.safetensors', 'image'],
    ['a_wan.safetensors', 'image'],
    ['a_640_wan.safetensors', 'image'],
    ['a_0640x0000_wan.safetensors', 'image'],
    ['a_0640x0361_wan.safetensors', 'video'],
    ['a_00000-000_0640x0361_wan.safetensors', 'video'],
    ['0640x0361_wan.safetensors', 'video'],
  ] as const)('refuses %s as cache of an %s', (name, kind) => {
    expect(() => parseLatentCacheName(name, kind, `c/${name}`)).toThrow(
      expect.objectContaining({ code: 'CACHE_NAME', file: `c/${name}` }),
    );
  });
});

test('latent caches are told from text caches and from those of other models', () => {
  expect(isLatentCacheName('a_0640x0361_wan.safetensors', 'wan')).toBe(true);
  expect(isLatentCacheName(textCacheName('a', 'wan'), 'wan')).toBe(false);
  expect(isLatentCacheName('a_0640x0361_hv.safetensors', 'wan')).toBe(false);
  expect(isLatentCacheName('a_0640x0361_qie.safetensors', 'qi')).toBe(false);
  expect(isLatentCacheName('._a_0640x0361_wan.safetensors', 'wan')).toBe(false);
});

test('names of latent caches have four digits a side or more, and are read back', () => {
  expect(latentCacheName('a.b', [640, 361], 'hv')).toBe('a.b_0640x0361_hv.safetensors');
  expect(latentCacheName('a_1', [12000, 5], 'wan')).toBe('a_1_12000x0005_wan.safetensors');
  expect(parseLatentCacheName('a_1_12000x0005_wan.safetensors', 'image')).toEqual({
    base: 'a_1',
    width: 12000,
    height: 5,
  });
});

test.each([
  ['a_1_0064x0064_wan.safetensors', 'a_1', null],
  ['a_00000-025_0064x0064_wan.safetensors', 'a_00000-025', null],
  ['a_wan_te.safetensors', null, 'a'],
  ['my_lora_wan.safetensors', null, null],
  ['.a_0064x0064_wan.safetensors', null, null],
  ['a_0064x0064_wan.safetensors.tmp', null, null],
  ['a_0064x0064_hv.safetensors', null, null],
])('%s is the latent cache of %j, the text cache of %j', (name, latent, text) => {
  expect(latentCacheBase(name, 'wan')).toBe(latent);
  expect(textCacheBase(name, 'wan')).toBe(text);
});
