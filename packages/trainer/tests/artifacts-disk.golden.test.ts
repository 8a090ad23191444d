import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import type { RunFolder } from './run-folder.ts';

/** What the disk does to the file, or the folder, whose path has that in it. */
const disk = vi.hoisted(() => ({ full: '', forbidden: '' }));

function fail(code: string, syscall: string): never {
  throw Object.assign(new Error(`${code}: of the test, ${syscall}`), { code, syscall });
}
const writeToFull = async () => fail('ENOSPC', 'write');

vi.mock('node:fs/promises', async (importActual) => {
  const actual = await importActual<typeof import('node:fs/promises')>();
  const open = async (...args: Parameters<typeof actual.open>) => {
    const handle = await actual.open(...args);
    if (disk.full === '' || !String(args[0]).includes(disk.full)) return handle;
    return new Proxy(handle, {
      get(target, name) {
        if (name === 'write') return writeToFull;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };
  const mkdir = async (...args: Parameters<typeof actual.mkdir>) => {
    if (disk.forbidden !== '' && String(args[0]).endsWith(disk.forbidden)) fail('EACCES', 'mkdir');
    return actual.mkdir(...args);
  };
  return { ...actual, open, mkdir };
});

const { openRunFolder, short, wanRuns } = await import('./run-folder.ts');

const left = async () => (await readdir('graphs', { recursive: true })).filter((file) => file !== 'checkpoint');

describe.each(wanRuns)('training_artifacts of runs like %s, where the disk lets no more be written,', (name) => {
  let folder: RunFolder;
  beforeAll(async () => {
    folder = await openRunFolder(name);
  });
  afterAll(() => folder.close());
  beforeEach(() => Object.assign(disk, { full: '', forbidden: '' }));

  const run = async (options: string) => folder.run(`${short(1)} --training_artifacts graphs ${options}`);

  test.each([
    {
      what: 'a full disk',
      fault: { full: '.optimizer_model.onnx.' },
      options: '--optimizer_type AdamW',
      code: 'ENOSPC',
    },
    {
      what: 'full at its last file',
      fault: { full: '.state.json.' },
      options: '--optimizer_type AdamW',
      code: 'ENOSPC',
    },
    {
      what: 'full at a list',
      fault: { full: '.weight_files.json.' },
      options: '--optimizer_type lion_pytorch.Lion',
      code: 'ENOSPC',
    },
    {
      what: 'a folder',
      fault: { forbidden: join('graphs', 'checkpoint') },
      options: '--optimizer_type AdamW',
      code: 'EACCES',
    },
  ])('are told and leave nothing behind: $what', async ({ fault, options, code }) => {
    Object.assign(disk, fault);
    await expect(run(options)).rejects.toMatchObject({
      name: 'TrainerError',
      code: 'OUTPUT_UNWRITABLE',
      message: expect.stringMatching(new RegExp(`^training_artifacts = "graphs" could not be written.*${code}`)),
      remedy: expect.stringContaining('choose another folder for training_artifacts'),
      facts: { option: 'training_artifacts', file: 'graphs' },
    });
    expect(await left()).toEqual([]);
  });

  test('are written by the next run all the same, and no others stand there when it fails', async () => {
    await run('--optimizer_type AdamW');
    expect(existsSync(join('graphs', 'training_model.onnx'))).toBe(true);
    disk.full = '.eval_model.onnx.';
    await expect(run('--optimizer_type AdamW')).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    expect(await left()).toEqual([]);
  });
});
