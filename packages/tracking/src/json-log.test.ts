import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { openJsonLog } from './json-log.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('every line can be read as soon as it is written', () => {
  const path = join(folder, 'new', 'run.log.jsonl');
  const log = openJsonLog(path);
  log.write({ step: 1, 'loss/current': 0.5, text: 'zwei\nZeilen' });
  expect(readFileSync(path, 'utf8')).toBe('{"step":1,"loss/current":0.5,"text":"zwei\\nZeilen"}\n');
  log.write({ step: 2, loss: Number.NaN, rates: [Infinity, -Infinity] });
  log.close();
  log.close();
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  expect(JSON.parse(lines[1] ?? '')).toEqual({ step: 2, loss: 'NaN', rates: ['Infinity', '-Infinity'] });
});

test('appends to an earlier log, behind a line cut short', () => {
  const path = join(folder, 'run.log.jsonl');
  appendFileSync(path, '{"step":1}\n{"st');
  const log = openJsonLog(path);
  log.write({ step: 2 });
  log.close();
  expect(readFileSync(path, 'utf8')).toBe('{"step":1}\n{"st\n{"step":2}\n');
});

test('names the file that cannot be written', () => {
  appendFileSync(join(folder, 'file'), '');
  const path = join(folder, 'file', 'run.log.jsonl');
  expect(() => openJsonLog(path)).toThrow(
    expect.objectContaining({ name: 'TrackingError', code: 'LOG_FILE', file: path }),
  );
  const log = openJsonLog(join(folder, 'run.log.jsonl'));
  log.close();
  expect(() => log.write({ step: 1 })).toThrow(/is closed/);
});
