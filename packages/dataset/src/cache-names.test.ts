import { describe, expect, test } from 'vitest';

import { isLatentCacheName, parseLatentCacheName, textCacheName } from './cache-names.ts';

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
