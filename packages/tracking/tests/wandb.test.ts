import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createRunId, createWandbClient, parseSpool, uploadSpool, type WandbRun } from '../src/index.ts';
import { findWandbSpools, openWandbLog, syncWandbSpool } from '../src/node.ts';
import { startWandbServer, testKey, type WandbServer } from './wandb-server.ts';

const run: WandbRun = {
  id: 'abcd1234',
  project: 'network_train',
  entity: null,
  name: 'my run',
  group: null,
  jobType: null,
  notes: null,
  tags: ['a', 'b'],
  config: { learning_rate: 1e-4, optimizer_type: 'AdamW', seed: null },
  host: 'machine',
};

let server: WandbServer;
let folder = '';
let path = '';
let lines: string[] = [];

beforeEach(async () => {
  server = await startWandbServer();
  folder = mkdtempSync(join(tmpdir(), 'musubi-wandb-'));
  path = join(folder, 'wandb', 'run-20260304050607-abcd1234.jsonl');
  lines = [];
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const client = (options: { apiKey?: string; baseUrl?: string; timeoutMs?: number } = {}) =>
  createWandbClient({ apiKey: testKey, baseUrl: server.url, ...options });
const openLog = (options: Partial<Parameters<typeof openWandbLog>[0]> = {}) =>
  openWandbLog({ run, path, client: client(), say: (line) => lines.push(line), intervalMs: 0, ...options });
const stored = () => server.runs.get('someone/network_train/abcd1234');
const historyOf = () => (stored()?.history ?? []).map((row) => JSON.parse(row) as Record<string, unknown>);
const values = (loss: number) => ({ 'loss/current': loss, 'lr/unet': 1e-4 });

describe('a run that reaches wandb', () => {
  test('makes the run, sends its rows, and ends it', async () => {
    let time = 1700000000;
    const log = openLog({ now: () => time++ });
    log.batch(0, 1, values(0.5));
    log.batch(1, 1, values(0.25));
    log.epoch(1, { 'loss/epoch': 0.375 });
    log.batch(2, 2, values(NaN));
    await log.close(0);

    expect(historyOf()).toEqual([
      { _step: 1, _timestamp: 1700000001, _runtime: 1, global_step: 0, epoch: 1, ...values(0.5) },
      { _step: 2, _timestamp: 1700000002, _runtime: 2, global_step: 1, epoch: 1, ...values(0.25), 'loss/epoch': 0.375 },
      {
        _step: 3,
        _timestamp: 1700000003,
        _runtime: 3,
        global_step: 2,
        epoch: 2,
        'loss/current': 'NaN',
        'lr/unet': 1e-4,
      },
    ]);
    expect(JSON.parse(stored()?.summary ?? '')).toMatchObject({ _step: 3, 'loss/epoch': 0.375 });
    expect(stored()?.exitCode).toBe(0);
    expect(lines).toEqual([`wandb: ${server.url}/someone/network_train/runs/abcd1234`]);
  });

  test('describes itself in one request', async () => {
    await openLog().close(0);
    const [first] = server.requests;
    expect(first).toMatchObject({ method: 'POST', path: '/graphql', headers: { 'content-type': 'application/json' } });
    const { variables } = first!.body as { variables: Record<string, unknown> };
    expect({ ...variables, config: JSON.parse(String(variables['config'])) as unknown }).toEqual({
      name: 'abcd1234',
      project: 'network_train',
      entity: null,
      displayName: 'my run',
      groupName: null,
      jobType: null,
      notes: null,
      tags: ['a', 'b'],
      host: 'machine',
      config: {
        learning_rate: { value: 1e-4, desc: null },
        optimizer_type: { value: 'AdamW', desc: null },
        seed: { value: null, desc: null },
      },
    });
  });

  test('sends many rows in several requests, each row once in its place', async () => {
    const log = openLog({ intervalMs: 1e9 });
    for (let i = 1; i <= 1203; i++) log.batch(i, 1, values(i));
    await log.close(0);
    expect(historyOf().map((row) => row['_step'])).toEqual(Array.from({ length: 1203 }, (_, i) => i + 1));
    const streams = server.requests.filter(({ path: at }) => at.endsWith('/file_stream'));
    expect(streams.length).toBeLessThanOrEqual(6);
  });

  test('the key stands in the header of requests and nowhere else', async () => {
    const log = openLog();
    log.batch(1, 1, values(1));
    await log.close(0);
    const written = [path, path.replace('.jsonl', '.uploaded.json')].map((file) => readFileSync(file, 'utf8'));
    const bodies = server.requests.map(({ body, path: at }) => at + JSON.stringify(body));
    expect([...written, ...bodies, ...lines].join('\n')).not.toContain(testKey);
  });
});

describe('a run that does not reach wandb', () => {
  test('without a key keeps everything, and is sent later', async () => {
    const log = openLog({ client: null });
    log.batch(1, 1, values(1));
    log.batch(2, 1, values(2));
    await log.close(0);
    expect(server.requests).toEqual([]);
    expect(lines).toEqual([
      `wandb has no key, so the run is kept in ${path}. Send it later with: musubi wandb sync "${path}"`,
    ]);

    const [spool = ''] = await findWandbSpools(folder);
    expect(spool).toBe(path);
    const page = `${server.url}/someone/network_train/runs/abcd1234`;
    expect(await syncWandbSpool(spool, client())).toEqual({ path, page, sentRows: 2, isComplete: true });
    expect(historyOf().map((row) => row['loss/current'])).toEqual([1, 2]);
    expect(await syncWandbSpool(spool, client())).toMatchObject({ sentRows: 0, isComplete: true });
    expect(stored()?.history).toHaveLength(2);
  });

  test('with nobody there says so once and keeps everything', async () => {
    const log = openLog({ client: client({ baseUrl: 'http://127.0.0.1:1' }) });
    for (let i = 1; i <= 3; i++) log.batch(i, 1, values(i));
    await log.close(0);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(
      /^http:\/\/127\.0\.0\.1:1 cannot be reached: .* Training goes on, and tries again; the run is kept/,
    );
    expect(lines[1]).toContain(`musubi wandb sync "${path}"`);
    expect(await syncWandbSpool(path, client())).toMatchObject({ sentRows: 3, isComplete: true });
  });

  test('with a wrong key says so once and does not try again', async () => {
    const log = openLog({ client: client({ apiKey: 'wrong-key' }) });
    await until(() => lines.length > 0);
    for (let i = 1; i <= 3; i++) log.batch(i, 1, values(i));
    await log.close(0);
    expect(server.requests).toHaveLength(1);
    expect(lines[0]).toMatch(
      /answered 401: .* Give a valid key as wandb_api_key or in WANDB_API_KEY\. Training goes on without it/,
    );
    expect(lines.join()).not.toContain('wrong-key');
  });

  test('with a server that fails for a while sends everything in the end', async () => {
    let failures = 2;
    server.fault = () => (failures-- > 0 ? { status: 503, body: 'busy' } : null);
    const log = openLog();
    for (let i = 1; i <= 5; i++) {
      log.batch(i, 1, values(i));
      await pause(5);
    }
    await log.close(0);
    expect(historyOf().map((row) => row['_step'])).toEqual([1, 2, 3, 4, 5]);
    expect(stored()?.exitCode).toBe(0);
  });

  test('with a server that does not answer ends in time', async () => {
    server.fault = () => 'hang';
    const log = openLog({ closingMs: 100 });
    log.batch(1, 1, values(1));
    const before = performance.now();
    await log.close(0);
    expect(performance.now() - before).toBeLessThan(5000);
    expect(lines.at(-1)).toContain('musubi wandb sync');
    server.fault = () => null;
    expect(await syncWandbSpool(path, client())).toMatchObject({ sentRows: 1, isComplete: true });
  });

  test('ends with the exit code of a failure', async () => {
    const log = openLog();
    log.batch(1, 1, values(1));
    await log.close(1);
    expect(stored()?.exitCode).toBe(1);
  });
});

describe('sending a spool', () => {
  const spool = (rows: number, more = '') =>
    [
      { type: 'run', format: 1, run },
      ...Array.from({ length: rows }, (_, i) => ({ type: 'row', row: { _step: i + 1 } })),
    ]
      .map((record) => `${JSON.stringify(record)}\n`)
      .join('') + more;

  test('goes on where a failure stopped it', async () => {
    let calls = 0;
    server.fault = ({ path: at }) => (at.endsWith('file_stream') && ++calls === 2 ? { status: 500 } : null);
    const text = spool(1200, '{"type":"exit","exitCode":0}\n');
    let last: Awaited<ReturnType<typeof uploadSpool>> | null = null;
    const sending = uploadSpool(text, client(), null, (state) => (last = state));
    await expect(sending).rejects.toMatchObject({ code: 'WANDB_UNREACHABLE', isTemporary: true });
    expect(last).toMatchObject({ rows: 500 });
    expect(await uploadSpool(text, client(), last)).toMatchObject({ rows: 1200, isComplete: true });
    expect(historyOf().map((row) => row['_step'])).toEqual(Array.from({ length: 1200 }, (_, i) => i + 1));
  });

  test('twice gives the same history', async () => {
    await uploadSpool(spool(3), client());
    await uploadSpool(spool(5), client());
    expect(historyOf()).toHaveLength(5);
  });

  test('leaves a line cut short by a crash for later', async () => {
    expect(await uploadSpool(spool(2, '{"type":"row","ro'), client())).toMatchObject({ rows: 2, isComplete: false });
    expect(parseSpool(spool(2, '{"type":"ro\n{"type":"row","row":{"_step":3}}\n')).rows).toHaveLength(3);
  });

  test('names a team', async () => {
    const text = `${JSON.stringify({ type: 'run', format: 1, run: { ...run, entity: 'my team', project: 'a/b' } })}\n`;
    await expect(uploadSpool(text, client())).resolves.toMatchObject({ place: { entity: 'my team', project: 'a/b' } });
  });

  test.each([
    ['a run of a team that is not there', { ...run, entity: 'nobody' }, 'WANDB_REFUSED', 'entity nobody not found'],
  ])('%s is refused', async (_, refused, code, reason) => {
    const text = `${JSON.stringify({ type: 'run', format: 1, run: refused })}\n`;
    await expect(uploadSpool(text, client())).rejects.toMatchObject({ code, message: expect.stringContaining(reason) });
  });

  test.each(['', 'hello\n', '{"type":"row","row":{}}\n', '{"type":"run","format":2,"run":{}}\n', 'null\n'])(
    '%j is no spool',
    async (text) => {
      await expect(uploadSpool(text, client())).rejects.toMatchObject({ code: 'WANDB_SPOOL' });
    },
  );

  test('an answer that is no JSON', async () => {
    server.fault = () => ({ status: 200, body: '<html>' });
    await expect(uploadSpool(spool(1), client())).rejects.toMatchObject({ code: 'WANDB_ANSWER' });
  });

  test('a damaged note of what was sent is as none', async () => {
    await openLog({ client: null }).close(0);
    writeFileSync(path.replace('.jsonl', '.uploaded.json'), '{"place":');
    expect(await syncWandbSpool(path, client())).toMatchObject({ isComplete: true });
  });
});

test('spools are found below a folder, oldest first; others are left alone', async () => {
  await openLog({ client: null }).close(0);
  const earlier = join(folder, 'wandb', 'run-20250101000000-zzzz9999.jsonl');
  await openLog({ client: null, path: earlier }).close(0);
  appendFileSync(join(folder, 'wandb', 'other.jsonl'), '{}\n');
  expect(await findWandbSpools(folder)).toEqual([earlier, path]);
  expect(await findWandbSpools(path)).toEqual([path]);
  await expect(findWandbSpools(join(folder, 'gone'))).rejects.toMatchObject({ code: 'WANDB_SPOOL' });
});

test('a file that cannot be made is an error before the run', () => {
  writeFileSync(join(folder, 'wandb'), '');
  expect(() => openLog()).toThrow(expect.objectContaining({ name: 'TrackingError', code: 'LOG_FILE' }));
});

test.each(['', 'with space', 'ключ', 'new\nline'])('the key %j cannot stand in a request', (apiKey) => {
  expect(() => client({ apiKey })).toThrow(expect.objectContaining({ code: 'WANDB_KEY' }));
});

test('run ids are eight letters and digits', () => {
  expect(createRunId()).toMatch(/^[a-z0-9]{8}$/);
  expect(createRunId(() => 0.9999999)).toBe('99999999');
});

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function until(isReached: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !isReached(); i++) await pause(10);
}
