import { expect, test } from 'vitest';

import { describePicture, type PictureItem, type Pixels } from './index.ts';

const filled = (width: number, height: number, channels: 3 | 4, value: number): Pixels => ({
  width,
  height,
  channels,
  data: new Uint8Array(width * height * channels).fill(value),
});

const item: PictureItem = {
  key: 'cats/a.png',
  caption: 'a "cat"\n\u001b[31m\u009b2J',
  targets: ['/data/cats/a.png'],
  controls: [],
  textCache: '/data/cache/a_wan_te.safetensors',
  size: [12, 9],
  bucket: [8, 8],
  controlSizes: [],
  batchKey: [8, 8],
  latentCache: '/data/cache/a_0012x0009_wan.safetensors',
  targetPixels: [filled(8, 8, 3, 255)],
  controlPixels: [],
};

test('says what an image is and shows it', () => {
  expect(describePicture(item, { width: 4 })).toMatchInlineSnapshot(`
    "cats/a.png
      caption  "a \\"cat\\"\\n\\u001b[31m\\u009b2J"
      size     12 x 9, bucket 8 x 8
      caches   a_0012x0009_wan.safetensors, a_wan_te.safetensors
      target: 8 x 8 RGB
    @@@@
    @@@@
    "
  `);
});

test('shows every target and control image', () => {
  const targetPixels = [filled(2, 2, 4, 255), filled(2, 2, 4, 0)];
  const controlPixels = [filled(2, 4, 3, 128)];
  expect(
    describePicture({ ...item, targetPixels, controlPixels })
      .split('\n')
      .slice(4),
  ).toEqual([
    '  target 1 of 2: 2 x 2 RGBA',
    '@@',
    '  target 2 of 2: 2 x 2 RGBA',
    '',
    '  control image: 2 x 4 RGB',
    '++',
    '++',
    '',
  ]);
});

test('lets no control character through to the terminal', () => {
  const text = describePicture({ ...item, key: 'a\u001b[2Jb.png' });
  expect(text).toContain('a\\u001b[2Jb.png');
  expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
});
