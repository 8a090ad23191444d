import { describe, expect, test } from 'vitest';

import { parseDatasetConfig } from './config-text.ts';
import { readDatasetConfig } from './dataset-config.ts';
import { inspectSource, type SourceFiles } from './sources.ts';

/** Files in memory: folders of names (a final slash marks a folder), and texts. */
function memoryFiles(folders: Record<string, string[]>, texts: Record<string, string> = {}): SourceFiles {
  return {
    list: async (folder) =>
      folders[folder]?.map((name) => ({ name: name.replace('/', ''), isFolder: name.endsWith('/') })) ?? null,
    readText: async (file) => texts[file] ?? '',
  };
}

async function inspect(toml: string, files: SourceFiles, architecture = 'qie') {
  const [config] = readDatasetConfig(parseDatasetConfig(`[[datasets]]\n${toml}`, 'a.toml'), architecture);
  if (!config) throw new Error('no dataset');
  return inspectSource(config, files);
}

const item = (name: string, controls: string[] = [], targets: string[] = []) => ({ name, targets, controls });

describe('folders of images', () => {
  test('are listed by name, in one case of letters, without hidden files', async () => {
    const names = ['b.PNG', 'a.webp', 'c.Png', '.d.png', 'e.txt', 'a.txt', 'B.jpg'];
    const { items, hasControl } = await inspect('image_directory = "i"', memoryFiles({ i: names }));
    expect(items.map(({ name }) => name)).toEqual(['B.jpg', 'a.webp', 'b.PNG']);
    expect(hasControl).toBe(false);
  });

  test('lose images without caption', async () => {
    const files = memoryFiles({ i: ['a.png', 'a.txt', 'b.png', 'c.v2.png', 'c.v2.txt'] });
    const found = await inspect('image_directory = "i"\ncaption_extension = ".txt"', files);
    expect(found.items.map(({ name }) => name)).toEqual(['a.png', 'c.v2.png']);
    expect(found.uncaptioned).toEqual(['b.png']);
  });

  test('that do not exist are empty', async () => {
    expect(await inspect('image_directory = "i"', memoryFiles({}))).toEqual({ items: [], hasControl: false });
  });

  test('give the longest name its controls first, in order of their numbers', async () => {
    const files = memoryFiles({
      i: ['a.png', 'a_b.png'],
      c: ['a_b_10.png', 'a_b_2.png', 'a_b.png', 'a_1.png', 'a.jpg'],
    });
    expect(await inspect('image_directory = "i"\ncontrol_directory = "c"', files)).toEqual({
      items: [item('a.png', ['a.jpg', 'a_1.png']), item('a_b.png', ['a_b.png', 'a_b_2.png', 'a_b_10.png'])],
      hasControl: true,
    });
  });

  test('keep as many controls as the model takes', async () => {
    const files = memoryFiles({ i: ['a.png'], c: ['a_1.png', 'a_2.png'] });
    const { items } = await inspect('image_directory = "i"\ncontrol_directory = "c"', files, 'fk');
    expect(items).toEqual([item('a.png', ['a_1.png'])]);
  });

  test('match further targets by number', async () => {
    const files = memoryFiles({ i: ['a.png', 'a.txt', 'a_10.png', 'a_2.png'] });
    const toml = 'image_directory = "i"\ncaption_extension = ".txt"\nmultiple_target = true';
    expect((await inspect(toml, files, 'qil')).items).toEqual([item('a.png', [], ['a_2.png', 'a_10.png'])]);
  });

  test('refuse targets that belong to no image', async () => {
    const files = memoryFiles({ i: ['a.png', 'a.txt', 'b_2.png'] });
    const toml = 'image_directory = "i"\ncaption_extension = ".txt"\nmultiple_target = true';
    await expect(inspect(toml, files, 'qil')).rejects.toMatchObject({ code: 'MULTIPLE_TARGET_MISSING' });
  });
});

describe('folders of videos', () => {
  test('find a control of the same name, a folder, or another extension', async () => {
    const files = memoryFiles({ v: ['a.mp4', 'b.mp4', 'c.mp4', 'd.png'], c: ['a.mp4', 'a/', 'b/', 'b.mov', 'c.MOV'] });
    const found = await inspect('video_directory = "v"\ncontrol_directory = "c"', files, 'wan');
    expect(found.items).toEqual([item('a.mp4', ['a.mp4']), item('b.mp4', ['b']), item('c.mp4', ['c.MOV'])]);
  });

  test('refuse a video without control', async () => {
    const files = memoryFiles({ v: ['a.mp4'], c: ['a'] });
    const found = inspect('video_directory = "v"\ncontrol_directory = "c"', files, 'wan');
    await expect(found).rejects.toMatchObject({ code: 'MISSING_CONTROL_IMAGES' });
  });
});

const list = (...lines: unknown[]) => memoryFiles({}, { l: lines.map((line) => JSON.stringify(line)).join('\r\n') });

describe('lists of images', () => {
  test('take controls in numeric order', async () => {
    const controls = { control_path_10: 'x', control_path_2: 'y', control_path: 'z' };
    const files = list(
      { image_path: 'a', caption: '', image_path_1: 'a1', ...controls },
      { image_path_0: 'b', caption: '' },
    );
    expect(await inspect('image_jsonl_file = "l"', files)).toEqual({
      items: [
        { ...item('a', ['z', 'y', 'x']), caption: '' },
        { ...item('b'), caption: '' },
      ],
      hasControl: true,
    });
    const { items } = await inspect('image_jsonl_file = "l"\nmultiple_target = true', files);
    expect(items.map(({ targets }) => targets)).toEqual([['a1'], []]);
  });

  test('keep as many controls as the model takes', async () => {
    const files = list({ image_path: 'a', caption: 'x', control_path_0: '0', control_path_1: '1' });
    const found = await inspect('image_jsonl_file = "l"', files, 'fk');
    expect(found.items).toEqual([{ ...item('a', ['0']), caption: 'x' }]);
  });

  test('refuse lines without control where one is needed', async () => {
    const files = list({ image_path: 'a', control_path: 'x' }, { image_path: 'b' });
    const found = inspect('image_jsonl_file = "l"', files, 'fk');
    await expect(found).rejects.toThrow('l, line 2 has 0 control paths, 1 needed.');
  });

  test.each(['{"image_path": "a"}\n\n', '[]', 'null', '{"image_path": "a"', '{"control_path_x": 1}'])(
    'refuse %j',
    async (text) => {
      const found = inspect('image_jsonl_file = "l"', memoryFiles({}, { l: text }));
      await expect(found).rejects.toMatchObject({ name: 'DatasetError', file: 'l' });
    },
  );
});

test('lists of videos have a control in all lines or in none', async () => {
  const text = '{"video_path": "a", "control_path": "x"}\n{"video_path": "b"}\n';
  const found = inspect('video_jsonl_file = "l"', memoryFiles({}, { l: text }), 'wan');
  await expect(found).rejects.toMatchObject({ code: 'MISSING_CONTROL_IMAGES' });
});
