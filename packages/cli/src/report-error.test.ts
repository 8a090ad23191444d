import { ConfigError } from '@musubi/config';
import { expect, test } from 'vitest';

import { reportError } from './report-error.ts';

const problem = { code: 'MISSING_OPTION' as const, text: 'dit is missing.', remedy: 'Write dit = "x".' };

function ours(name: string, code: string): Error {
  return Object.assign(new Error('The file x is wrong. Mend it.'), { name, code, remedy: 'Mend it.' });
}

test('one problem is one line', () => {
  expect(reportError(new ConfigError([problem]), {})).toEqual({
    text: 'error: dit is missing. Write dit = "x".\n',
    exitCode: 2,
  });
});

test('several problems are one block', () => {
  expect(reportError(new ConfigError([problem, { ...problem, text: 'task is wrong.' }]), {}).text).toBe(
    'error: 2 problems\n  dit is missing. Write dit = "x".\n  task is wrong. Write dit = "x".\n',
  );
});

test.each([
  ['ConfigError', 'UNKNOWN_OPTION', 2],
  ['SamplerError', 'UNKNOWN_SAMPLER', 2],
  ['DatasetError', 'CONFIG_INVALID', 2],
  ['DatasetError', 'CAPTION_EXTENSION_MISSING', 2],
  ['DatasetError', 'CACHE_UNREADABLE', 1],
  ['SafetensorsError', 'TRUNCATED', 2],
])('%s %s exits with %i', (name, code, exitCode) => {
  expect(reportError(ours(name, code), {})).toEqual({ text: 'error: The file x is wrong. Mend it.\n', exitCode });
});

test('an error of the operating system names the file', () => {
  const error = Object.assign(new Error("ENOSPC: no space left on device, write 'x'"), {
    code: 'ENOSPC',
    syscall: 'write',
  });
  expect(reportError(error, {})).toEqual({
    text: "error: ENOSPC: no space left on device, write 'x'. Make room on the disk.\n",
    exitCode: 1,
  });
});

test.each<[unknown, string]>([
  [new TypeError('x is not a function'), 'internal: TypeError: x is not a function\n'],
  [new Error('internal: no rule'), 'internal: no rule\n'],
  ['thrown text', 'internal: thrown text\n'],
  [undefined, 'internal: undefined\n'],
])('anything else is our fault', (error, start) => {
  const { text, exitCode } = reportError(error, {});
  expect(text.startsWith(start)).toBe(true);
  expect(text).toContain('Please report it');
  expect(exitCode).toBe(1);
});

test('the stack is shown with MUSUBI_DEBUG=1 only', () => {
  const error = new TypeError('x');
  expect(reportError(error, {}).text).not.toContain('report-error.test');
  expect(reportError(error, { MUSUBI_DEBUG: '1' }).text).toContain('report-error.test');
});
