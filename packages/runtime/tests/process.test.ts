import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cast, gateWeights, matmul, mul } from '@musubi/onnx-graph';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { MemoryPlan } from '../src/index.ts';

import { defaultMemoryPlan } from '../src/index.ts';
import { installRemedy, loadError } from '../src/node/engine.ts';
import { buildPackage, packageFolder, runScript } from './built-package.ts';
import { buildModel, temporaryFolder } from './fixtures.ts';

const built = mkdtempSync(join(tmpdir(), 'musubi built '));
beforeAll(() => buildPackage(built));
afterAll(() => rmSync(built, { recursive: true, force: true, maxRetries: 5 }));

const n = 512;

/** Starts a session that computes for about half a second. */
const longRun = `
  import { readFileSync } from 'node:fs';
  const runtime = await createNodeRuntime();
  const session = await runtime.createSession({ model: readFileSync(${JSON.stringify(join(built, 'long.onnx'))}) });
  const x = { dtype: 'float32', shape: [${n}, ${n}], data: new Float32Array(${n * n}).fill(1e-3) };
  console.log(runtime.info.thread);
`;

beforeAll(() => {
  const model = buildModel((g) => {
    const x = g.input('x', 'float32', [n, n]);
    let y = x;
    for (let i = 0; i < 150; i++) y = mul(matmul(y, x), 0.5);
    return { y };
  });
  writeFileSync(join(built, 'long.onnx'), model);
});

describe('a process with the built package', () => {
  test.each([
    { name: 'ends by itself after a run, without close', script: 'await session.run({ x })', status: 0 },
    { name: 'ends after close', script: 'await session.run({ x }); await runtime.close()', status: 0 },
    {
      name: 'stays for a run that nobody waits for',
      script: "session.run({ x }).then(() => console.log('done'))",
      status: 0,
    },
    {
      name: 'stays for a close that nobody waits for',
      script: "runtime.close().then(() => console.log('done'))",
      status: 0,
    },
    {
      name: 'keeps its status on exit during a run',
      script: 'session.run({ x }); setTimeout(() => process.exit(3), 100)',
      status: 3,
    },
    {
      name: 'starts no further run on exit',
      script: 'for (let i = 0; i < 100; i++) session.run({ x }); setTimeout(() => process.exit(4), 100)',
      status: 4,
    },
    {
      name: 'keeps its status on an exception during a run',
      script: "session.run({ x }); setTimeout(() => { throw new Error('boom') }, 100)",
      status: 1,
    },
    {
      name: 'ends at once on Ctrl-C during a run, unless the program handles it',
      script: "session.run({ x }); setTimeout(() => process.kill(process.pid, 'SIGINT'), 100)",
      status: process.platform === 'win32' ? 1 : 'SIGINT',
    },
  ])('$name', async ({ script, status }) => {
    const ended = await runScript(built, packageFolder, longRun + script);

    expect(ended).toMatchObject({ status, stdout: expect.stringContaining('worker') });
    if (script.includes('done')) expect(ended.stdout).toContain('done');
    if (status !== 1) expect(ended.stderr).toBe('');
  });
});

describe('onnxruntime-node', () => {
  const report = "console.log(await createNodeRuntime().then((r) => r.info.engine, (e) => e.code + ' ' + e.message))";

  test('that is missing is an error with the command that mends it', async () => {
    const { stdout } = await runScript(built, temporaryFolder(), report);

    expect(stdout).toMatch(/^ENGINE_MISSING onnxruntime-node is not installed/);
    expect(stdout).toContain('npm i onnxruntime-node@1.30.0');
  });

  test('is found from the current folder, where that command puts it', async () => {
    const { stdout } = await runScript(built, packageFolder, report);

    expect(stdout).toBe('onnxruntime-node\n');
  });

  test.each([
    { name: 'without binary', code: 'ENGINE_UNSUPPORTED_PLATFORM', body: "require('../bin/onnxruntime_binding.node')" },
    { name: 'that throws', code: 'ENGINE_LOAD_FAILED', body: "throw new Error('libfoo.so: cannot open')" },
  ])('$name is a typed error', async ({ code, body }) => {
    const folder = temporaryFolder();
    const module = join(folder, 'node_modules', 'onnxruntime-node');
    mkdirSync(module, { recursive: true });
    writeFileSync(join(module, 'index.js'), body);
    const { status, stdout } = await runScript(built, folder, report);

    expect(stdout.startsWith(`${code} `)).toBe(true);
    expect(status).toBe(0);
  });

  test('on each platform has its own remedy', () => {
    const missing = Object.assign(
      new Error("Cannot find module '../bin/napi-v6/darwin/x64/onnxruntime_binding.node'"),
      {
        code: 'MODULE_NOT_FOUND',
      },
    );

    expect(installRemedy('linux', 'x64')).toBe(
      'Install it with: ONNXRUNTIME_NODE_INSTALL=skip npm i onnxruntime-node@1.30.0',
    );
    expect(installRemedy('win32', 'x64')).toBe('Install it with: npm i onnxruntime-node@1.30.0');
    expect(installRemedy('darwin', 'x64')).toContain('no binary for Macs with Intel processors');
    expect(loadError(missing, 'darwin', 'x64').message).toMatchInlineSnapshot(
      `"onnxruntime-node has no binary for darwin x64, only for linux x64, linux arm64, darwin arm64, win32 x64, win32 arm64. onnxruntime-node 1.30.0 has no binary for Macs with Intel processors: use a Mac with Apple silicon, Linux or Windows."`,
    );
    expect(loadError(missing, 'freebsd', 'x64')).toMatchObject({ code: 'ENGINE_UNSUPPORTED_PLATFORM' });
  });
});

// Linux tells anonymous memory (copies) from mapped files.
describe.runIf(process.platform === 'linux')('memory taken by weights in a file', () => {
  const size = 2048;
  const layers = 12;
  const wide = layers * size * size * 4;

  /** Anonymous memory that a session and a run add, in a process of its own. */
  async function addedBytes(dtype: 'float32' | 'bfloat16', memory: MemoryPlan, isGated = true): Promise<number> {
    const folder = temporaryFolder();
    const location = 'dit.safetensors';
    const length = size * size * (dtype === 'float32' ? 4 : 2);
    // all zero but for the first numbers: ONNX Runtime keeps one packed copy of equal weights
    const file = openSync(join(folder, location), 'w');
    for (let i = 0; i < layers; i++) writeSync(file, Uint8Array.of(i + 1, 0, 0, 0), 0, 4, i * length);
    ftruncateSync(file, layers * length);
    closeSync(file);
    const model = buildModel(
      (g) => {
        let y = g.input('x', 'float32', ['t', size]);
        for (let i = 0; i < layers; i++) {
          const w = g.external(`w${i}`, dtype, [size, size], { location, offset: i * length, length });
          y = matmul(y, cast(w, 'float32'));
        }
        return { y };
      },
      (graph) => (isGated ? gateWeights(graph) : graph),
    );
    writeFileSync(join(folder, 'model.onnx'), model);
    const request = JSON.stringify({ externalDataFolder: folder, memory });
    const { stdout, stderr } = await runScript(
      built,
      packageFolder,
      `import { readFileSync } from 'node:fs';
       const anonymous = () => 1024 * Number(/RssAnon:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
       const peak = () => 1024 * Number(/VmHWM:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
       const runtime = await createNodeRuntime();
       const before = [anonymous(), peak()];
       const model = readFileSync(${JSON.stringify(join(folder, 'model.onnx'))});
       const session = await runtime.createSession({ ...${request}, model });
       await session.run({ x: { dtype: 'float32', shape: [1, ${size}], data: new Float32Array(${size}) } });
       console.log(Math.max(anonymous() - before[0], peak() - before[1] - ${layers * length}));`,
    );
    expect(stderr).toBe('');
    return Number(stdout);
  }

  test('mapped float32 weights are not copied, packed ones are', async () => {
    expect(await addedBytes('float32', defaultMemoryPlan)).toBeLessThan(wide / 4);
    expect(await addedBytes('float32', { ...defaultMemoryPlan, prepackWeights: true })).toBeGreaterThan((wide * 3) / 4);
  });

  test('gated bfloat16 weights are wide one after another, ungated and folded ones all at once', async () => {
    const folded = { ...defaultMemoryPlan, foldConstants: true };

    expect(await addedBytes('bfloat16', defaultMemoryPlan)).toBeLessThan(wide / 2);
    expect(await addedBytes('bfloat16', defaultMemoryPlan, false)).toBeGreaterThan((wide * 3) / 4);
    expect(await addedBytes('bfloat16', folded, false)).toBeGreaterThan((wide * 3) / 4);
  });
});
