import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { findEngine } from './engine.ts';
import { listProviders, probeProvider } from './probe-provider.ts';

const folder = mkdtempSync(join(tmpdir(), 'musubi-probe-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A module in place of onnxruntime-node. */
function fakeEngine(name: string, create: string): string {
  const path = join(folder, `${name}.cjs`);
  const backends = "listSupportedBackends: () => [{ name: 'cpu' }, { name: 'cuda' }]";
  const source = `module.exports = { Tensor: class {}, ${backends}, InferenceSession: { create: async (model, options) => { ${create} } } };`;
  writeFileSync(path, source);
  return path;
}

describe('the installed ONNX Runtime', () => {
  const { path: enginePath } = findEngine();

  test('lists its providers, and the CPU computes what it should', async () => {
    expect(await listProviders({ enginePath })).toContain('cpu');
    const probe = await probeProvider('cpu', { enginePath });
    expect(probe).toMatchObject({ provider: 'cpu', state: 'works', reason: null });
    expect(probe.largestError).toBeLessThan(1e-6);
  });

  test('a provider that there is not fails with a reason of one line', async () => {
    const { state, reason } = await probeProvider('nosuch', { enginePath });
    expect(state).toBe('fails');
    expect(reason).toMatch(/^[^\n]*nosuch[^\n]*$/);
  });
});

describe('a build that', () => {
  test.each([
    ['crashes', 'process.abort();', 'crashes', /^its process (was ended by SIG|ended with code )/],
    ['ends', 'process.exit(7);', 'crashes', /^its process ended with code 7$/],
    ['throws', "throw new Error('no device\\nat line 2');", 'fails', /^no device$/],
    [
      'computes something else',
      'return { run: async () => ({ y: { data: new Array(24).fill(0.5) } }) };',
      'differs',
      /off by 0\.\d+$/,
    ],
    ['computes nothing', 'return { run: async () => ({ y: { data: [] } }) };', 'differs', /off by NaN$/],
    ['hangs', 'while (true);', 'hangs', /^its process did not answer within 1 s$/],
  ])('%s', async (name, create, expected, why) => {
    const enginePath = fakeEngine(name.replaceAll(' ', '-'), create);
    const { state, reason } = await probeProvider('cuda', { enginePath, timeoutMs: name === 'hangs' ? 1000 : 30_000 });
    expect(state).toBe(expected);
    expect(reason).toMatch(why);
  });

  test.each([
    ['cuda', undefined, '["cuda"]'],
    ['cuda', 0, '["cuda"]'],
    ['cuda', 7, '[{"name":"cuda","deviceId":7}]'],
    ['dml', 1, '[{"name":"dml","deviceId":1}]'],
    ['webgpu', 1, '["webgpu"]'],
  ])('is asked for the device of %s that is meant, %s', async (provider, deviceId, asked) => {
    const enginePath = fakeEngine('telling', 'throw new Error(JSON.stringify(options.executionProviders));');
    const { reason } = await probeProvider(provider, { enginePath, ...(deviceId === undefined ? {} : { deviceId }) });
    expect(reason).toBe(asked);
  });

  test('cannot be loaded', async () => {
    const missing = join(folder, 'none.cjs');
    await expect(listProviders({ enginePath: missing })).rejects.toMatchObject({ code: 'ENGINE_LOAD_FAILED' });
    const crashing = join(folder, 'crashing.cjs');
    writeFileSync(crashing, 'process.abort();');
    await expect(listProviders({ enginePath: crashing })).rejects.toThrow(
      'onnxruntime-node cannot be loaded: its process',
    );
  });
});
