import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';

interface Sample {
  file: string;
  caption: string;
}

const lib = fileURLToPath(new URL('../scripts/lib/', import.meta.url));

/** Writes the samples and a sheet of them, in a process of its own as the scripts do. */
function write(folder: string): Sample[] {
  const script = `
    import { writeSamplePictures } from './sample-pictures.mjs';
    import { writePictureGrid } from './picture-grid.mjs';
    const samples = await writeSamplePictures(process.argv[1]);
    await writePictureGrid(samples.map(({ file }) => file), process.argv[1] + '.png');
    console.log(JSON.stringify(samples));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script, folder], { cwd: lib });
  return JSON.parse(output.toString()) as Sample[];
}

let root = '';
let samples: Sample[] = [];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'sample-pictures-'));
  samples = write(join(root, 'a'));
}, 60_000);
afterAll(() => rm(root, { recursive: true, force: true }));

test('are twenty captioned pictures', async () => {
  expect(samples).toHaveLength(20);
  expect(new Set(samples.map(({ caption }) => caption)).size).toBe(20);
  expect(await readdir(join(root, 'a'))).toHaveLength(40);
  for (const { file, caption } of samples) {
    expect(caption).toMatch(/^a flat emoji of [a-z ]+$/);
    expect(await readFile(file.replace(/\.\w+$/, '.txt'), 'utf8')).toBe(`${caption}\n`);
  }
  expect(samples[0]).toEqual({ file: join(root, 'a', 'red-apple.png'), caption: 'a flat emoji of a red apple' });
});

test('come in several formats and shapes, and show something', async () => {
  const facts = await Promise.all(
    samples.map(async ({ file }) => {
      const [{ format, width, height, hasAlpha }, { channels }] = await Promise.all([
        sharp(file).metadata(),
        sharp(file).stats(),
      ]);
      expect([Math.min(width, height) >= 96, Math.max(width, height) <= 192, hasAlpha]).toEqual([true, true, false]);
      expect(Math.max(...channels.map(({ stdev }) => stdev))).toBeGreaterThan(15);
      return { format, shape: Math.sign(width - height) };
    }),
  );
  expect(new Set(facts.map(({ format }) => format))).toEqual(new Set(['png', 'jpeg', 'webp']));
  expect(new Set(facts.map(({ shape }) => shape))).toEqual(new Set([-1, 0, 1]));
});

test('are the same every time', async () => {
  const again = write(join(root, 'b'));
  for (const [index, { file }] of again.entries()) {
    expect(basename(file)).toBe(basename(samples[index]?.file ?? ''));
    expect((await readFile(file)).equals(await readFile(samples[index]?.file ?? ''))).toBe(true);
  }
}, 60_000);

test('fit on one sheet', async () => {
  const sheet = sharp(join(root, 'a.png'));
  expect(await sheet.metadata()).toMatchObject({ format: 'png', width: 5 * 136 + 8, height: 4 * 136 + 8 });
  // a panda's middle is neither the paper nor the gap
  const middle = { left: 8 + 136 + 20, top: 8 + 2 * 136 + 20, width: 88, height: 88 };
  const { channels } = await sharp(await sheet.extract(middle).png().toBuffer()).stats();
  expect(Math.min(...channels.map(({ stdev }) => stdev))).toBeGreaterThan(30);
});
