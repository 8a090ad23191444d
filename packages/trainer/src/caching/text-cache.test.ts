import { bytesSource, fromFloat32, openSafetensors } from '@musubi/safetensors';
import { describe, expect, test } from 'vitest';

import { encodeTextCache } from './text-cache-file.ts';
import { mergeTextCache, textCache } from './text-cache.ts';

const values = (...numbers: number[]) => ({ shape: [numbers.length], data: Float32Array.from(numbers) });
const cacheOf = (content: string, caption = 'a cat', precision: 'bf16' | 'fp16' = 'bf16') =>
  textCache({ architecture: 'wan', caption, embeddings: { [content]: values(1, 2) }, precision });
const written = (contents: ReturnType<typeof cacheOf>) => openSafetensors(bytesSource(encodeTextCache(contents)));

const names = (contents: ReturnType<typeof cacheOf>) => contents.tensors.map(({ name }) => name);

describe('textCache', () => {
  test('replaces NaN by 0 and says where; other numbers stay', () => {
    const embeddings = { a: values(1, Number.NaN, -0), b: values(Number.POSITIVE_INFINITY) };
    const { tensors, notANumber } = textCache({ architecture: 'wan', caption: '', embeddings, precision: 'fp32' });
    expect(notANumber).toEqual(['a_float32']);
    expect(tensors.map(({ data }) => data)).toEqual([
      fromFloat32(Float32Array.of(1, 0, -0), 'F32'),
      fromFloat32(Float32Array.of(Number.POSITIVE_INFINITY), 'F32'),
    ]);
  });

  test('escapes everything but printable ASCII, as Python prints JSON', async () => {
    const caption = 'tab\t quote" back\\ del\u007f é 日本 🐈 \u2028';
    const bytes = encodeTextCache(cacheOf('t5', caption));
    expect([...bytes].slice(8, 256).every((code) => code >= 0x20 && code < 0x7f)).toBe(true);
    expect(Buffer.from(bytes).toString('latin1')).toContain(
      String.raw`"tab\t quote\" back\\ del\u007f \u00e9 \u65e5\u672c \ud83d\udc08 \u2028"`,
    );
    expect((await openSafetensors(bytesSource(bytes))).metadata['caption1']).toBe(caption);
  });

  test.each([0, 1, 100, 150, 151, 152, 200, 407, 408, 409])(
    'begins data at a multiple of 256, with %d letters of caption',
    async (length) => {
      const store = await written(cacheOf('t5', 'x'.repeat(length)));
      expect((store.tensors.get('t5_bfloat16')?.offset ?? 1) % 256).toBe(0);
    },
  );
});

describe('mergeTextCache', () => {
  test('keeps tensors of another encoder behind the new ones', async () => {
    const merged = await mergeTextCache(cacheOf('clipL'), await written(cacheOf('llm')), 'f');
    expect(names(merged)).toEqual(['clipL_bfloat16', 'llm_bfloat16']);
    expect(merged.tensors[1]?.data).toEqual(fromFloat32(Float32Array.of(1, 2), 'BF16'));
  });

  test('replaces a tensor of the same content in another number type', async () => {
    const merged = await mergeTextCache(cacheOf('t5'), await written(cacheOf('t5', 'a cat', 'fp16')), 'f');
    expect(names(merged)).toEqual(['t5_bfloat16']);
  });

  test('takes the new caption and keeps further metadata', async () => {
    const old = cacheOf('t5', 'old');
    const existing = await written({ ...old, metadata: { ...old.metadata, note: 'mine' } });
    const { metadata } = await mergeTextCache(cacheOf('t5', 'new'), existing, 'f');
    expect(Object.entries(metadata)).toEqual([
      ['architecture', 'wan'],
      ['caption1', 'new'],
      ['format_version', '1.0.1'],
      ['note', 'mine'],
    ]);
  });

  test('refuses a file of another model', async () => {
    const old = cacheOf('t5');
    const existing = await written({ ...old, metadata: { ...old.metadata, architecture: 'framepack' } });
    await expect(mergeTextCache(cacheOf('t5'), existing, 'cat_wan_te.safetensors')).rejects.toThrow(
      'cat_wan_te.safetensors is of the model "framepack", not of "wan". Give each model its own cache_directory, or delete the file.',
    );
  });
});
