import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

const failures = vi.hoisted(() => ({ codes: [] as string[], attempts: 0 }));

vi.mock('node:timers/promises', () => ({ setTimeout: async () => {} }));
vi.mock('node:fs/promises', async (importActual) => {
  const actual = await importActual<typeof import('node:fs/promises')>();
  const rename = async (from: string, to: string) => {
    failures.attempts++;
    const code = failures.codes.shift();
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    return actual.rename(from, to);
  };
  return { ...actual, rename };
});

const { writeFileAtomic } = await import('../src/node.ts');

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-'));
  failures.attempts = 0;
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  vi.unstubAllGlobals();
});

function pretend(platform: string, codes: string[]) {
  failures.codes = codes;
  vi.stubGlobal('process', Object.create(process, { platform: { value: platform } }));
}

test('Windows: tries again while another program has the file open', async () => {
  pretend('win32', ['EPERM', 'EACCES', 'EBUSY']);
  await writeFileAtomic(join(folder, 'a'), 'new');
  expect(failures.attempts).toBe(4);
  expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('new');
});

test('Windows: gives up, says which file to close, keeps the old one', async () => {
  pretend('linux', []);
  await writeFileAtomic(join(folder, 'a'), 'old');
  pretend(
    'win32',
    Array.from({ length: 20 }, () => 'EPERM'),
  );
  await expect(writeFileAtomic(join(folder, 'a'), 'new')).rejects.toMatchObject({
    code: 'FILE_IN_USE',
    file: join(folder, 'a'),
    remedy: expect.stringContaining('Close that program'),
  });
  expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old');
  expect(readdirSync(folder)).toEqual(['a']);
});

test('elsewhere a refused rename is an error at once', async () => {
  pretend('linux', ['EACCES']);
  await expect(writeFileAtomic(join(folder, 'a'), 'new')).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  expect(failures.attempts).toBe(1);
  expect(readdirSync(folder)).toEqual([]);
});
