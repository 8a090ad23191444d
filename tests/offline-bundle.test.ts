import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { bareEnvironment } from '../scripts/lib/bare-environment.mjs';
import { writeParts } from '../tools/offline-bundle/parts.mjs';

let folder = '';
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'musubi-parts-'))));
afterEach(() => rm(folder, { recursive: true }));

/** Numbers that do not compress. */
const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (Math.sin(i) * 1e6) & 255);

const part = (index: number) => join(folder, 'parts', `musubi-linux-x64.tar.gz.00${index}`);
const left = async () => (await readdir(folder)).toSorted();

// unpack.sh is for Linux x64 and refuses all else.
describe.runIf(process.platform === 'linux' && process.arch === 'x64')('a bundle in parts', () => {
  let unpack: (...args: string[]) => { readonly ok: boolean; readonly output: string };

  beforeEach(async () => {
    await mkdir(join(folder, 'source', 'a folder'), { recursive: true });
    await writeFile(join(folder, 'source', 'a folder', 'numbers'), noise(100_000));
    await writeFile(join(folder, 'source', 'program'), '#!/bin/sh\necho runs\n', { mode: 0o755 });
    const { parts } = await writeParts(join(folder, 'source'), join(folder, 'parts'), { partBytes: 30_000 });
    expect(parts.length).toBeGreaterThan(2);
    const { run } = bareEnvironment(join(folder, 'bin'));
    unpack = (...args) => run('sh', ['parts/unpack.sh', ...args], { cwd: folder });
  });

  test('has parts of the size asked for', async () => {
    const sizes = await Promise.all([0, 1, 2].map(async (index) => (await stat(part(index))).size));
    expect(sizes).toEqual([30_000, 30_000, 30_000]);
  });

  test('unpacks without Node.js', async () => {
    expect(unpack('here and now/musubi')).toEqual({
      ok: true,
      output: 'here and now/musubi is ready. Try: here and now/musubi/musubi doctor\n',
    });
    const made = join(folder, 'here and now', 'musubi');
    expect((await readdir(made)).toSorted()).toEqual(['a folder', 'program']);
    expect(await readFile(join(made, 'a folder', 'numbers'))).toEqual(Buffer.from(noise(100_000)));
    expect((await stat(join(made, 'program'))).mode & 0o777).toBe(0o755);
  });

  test('names all that is missing or damaged, and unpacks nothing', async () => {
    await rm(part(0));
    await truncate(part(1), 1000);
    const bytes = await readFile(part(2));
    bytes[500]! ^= 1;
    await writeFile(part(2), bytes);
    const { ok, output } = unpack();
    expect(ok).toBe(false);
    expect(output.replaceAll(folder, '')).toBe(
      `unpack.sh: musubi-linux-x64.tar.gz.000 is missing.
unpack.sh: musubi-linux-x64.tar.gz.001 is damaged, or was not copied whole.
unpack.sh: musubi-linux-x64.tar.gz.002 is damaged, or was not copied whole.
unpack.sh: nothing was unpacked. Copy again what is named above, into /parts.
`,
    );
    expect(await left()).toEqual(['bin', 'parts', 'source']);
  });

  test('refuses parts that its sums do not all name', async () => {
    const sums = join(folder, 'parts', 'SHA256SUMS');
    const lines = (await readFile(sums, 'utf8')).split('\n');
    await writeFile(sums, lines.slice(1).join('\n'));
    expect(unpack().output).toMatch('SHA256SUMS and the parts are of two bundles');
    await writeFile(sums, lines[0]!);
    expect(unpack().output).toMatch('SHA256SUMS is damaged');
    await rm(sums);
    expect(unpack().output).toMatch('SHA256SUMS is missing');
    expect(await left()).toEqual(['bin', 'parts', 'source']);
  });

  test('a program that is ended while it packs leaves nothing', async () => {
    const parts = new URL('../tools/offline-bundle/parts.mjs', import.meta.url).href;
    const program = `import { writeParts } from '${parts}';
      writeParts('source', 'more', { partBytes: 30_000 });
      process.exit(130);`;
    const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { cwd: folder });
    expect(status).toBe(130);
    expect(await left()).toEqual(['bin', 'parts', 'source']);
  });

  test('takes the place of nothing', async () => {
    const { ok, output } = unpack('source');
    expect(ok).toBe(false);
    expect(output).toBe('unpack.sh: source is there already. Name another folder, or remove it.\n');
  });
});

// GNU tar and those of other systems say it in other words
test.runIf(process.platform === 'linux')('what cannot be packed leaves nothing behind', async () => {
  await expect(writeParts(join(folder, 'missing'), join(folder, 'parts'), { partBytes: 1000 })).rejects.toThrow(
    /^tar ended with \d+: .*missing/s,
  );
  expect(await readdir(folder)).toEqual([]);
});
