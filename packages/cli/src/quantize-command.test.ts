import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findCommand, optionsOf } from '@musubi/config';
import { FP8_FORMATS, FP8_MODES, FP8_TARGETS } from '@musubi/quant-fp8';
import { fromFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { processContext } from './context.ts';
import { runCli } from './run-cli.ts';

let folder = '';
let input = '';
let output = '';
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'musubi-quantize-'));
  [input, output] = [join(folder, 'in.safetensors'), join(folder, 'out.safetensors')];
  await writeSafetensorsFile(input, [
    weight('blocks.0.self_attn.q.weight', [4, 128]),
    weight('blocks.0.ffn.0.weight', [4, 100]),
    weight('blocks.0.norm3.weight', [128]),
    weight('head.head.weight', [4, 128]),
  ]);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function weight(name: string, shape: number[]) {
  const values = Float32Array.from({ length: shape[0]! * (shape[1] ?? 1) }, (_, i) => Math.sin(i + 1));
  return { name, shape, dtype: 'BF16', data: fromFloat32(values, 'BF16') } as const;
}

async function run(...argv: string[]) {
  let [stdout, stderr] = ['', ''];
  const exitCode = await runCli(argv, {
    ...processContext(),
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
    environment: {},
  });
  return { exitCode, stdout, stderr };
}

const dtypes = async () => {
  const store = await openSafetensorsFile(output);
  const found = Object.fromEntries(Array.from(store.tensors.values(), ({ name, dtype }) => [name, dtype]));
  await store.close();
  return found;
};

test('writes a checkpoint and prints the error of each weight', async () => {
  const { exitCode, stdout, stderr } = await run(
    'quantize',
    input,
    output,
    '--architecture',
    'wan',
    '--num_workers',
    '1',
  );
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  expect(stdout.replace(output, 'out.safetensors')).toMatchInlineSnapshot(`
    "blocks.0.ffn.0.weight  [4, 100]  channel  error 0.0230
    blocks.0.self_attn.q.weight  [4, 128]  block 64  error 0.0230
    Saved out.safetensors: 2 weights in e4m3, 2 other tensors copied, 2.74 KB. Relative error 0.0230.
    "
  `);
  expect(await dtypes()).toEqual({
    'blocks.0.self_attn.q.weight': 'F8_E4M3',
    'blocks.0.self_attn.q.scale_weight': 'BF16',
    'blocks.0.ffn.0.weight': 'F8_E4M3',
    'blocks.0.ffn.0.scale_weight': 'BF16',
    'blocks.0.norm3.weight': 'BF16',
    'head.head.weight': 'BF16',
  });
});

test('takes lists of keys, another format and mode', async () => {
  const lists = ['--target_keys', 'head', 'ffn', '--exclude_keys', 'norm'];
  const how = ['--fp8_format', 'e5m2', '--quantization_mode', 'tensor'];
  const { exitCode, stdout } = await run('quantize', input, ...lists, ...how, '--num_workers', '1', output);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('2 weights in e5m2, 2 other tensors copied');
  expect(await dtypes()).toMatchObject({ 'head.head.weight': 'F8_E5M2', 'blocks.0.self_attn.q.weight': 'BF16' });
});

test.each([
  [['quantize'], 'error: 3 problems\n  input is missing.'],
  [['quantize', 'IN', 'OUT'], 'error: architecture is missing. Add --architecture wan'],
  [['quantize', 'IN', 'OUT', 'more', '--architecture', 'wan'], 'error: "more" stands on the command line'],
  [['quantize', 'IN', 'OUT', '--architecture', 'won'], 'error: --architecture won: expected one of wan'],
  [
    ['quantize', 'IN', 'OUT', '--architecture', 'wan', '--target_keys', 'a'],
    'error: --architecture wan: stands beside',
  ],
  [['quantize', 'IN', 'OUT', '--architecture', 'wan', '--block_size', '0'], 'error: --block_size 0: expected'],
  [['quantize', 'IN', 'OUT', '--target_keys', 'layers'], 'error: no weight of the file is chosen'],
  [['quantize', 'IN', 'IN', '--architecture', 'wan'], 'error: '],
])('%j exits with 2 and writes nothing', async (argv, message) => {
  const files = new Map([
    ['IN', input],
    ['OUT', output],
  ]);
  const { exitCode, stderr } = await run(...argv.map((word) => files.get(word) ?? word));
  expect(stderr.startsWith(message)).toBe(true);
  expect(exitCode).toBe(2);
  expect(readdirSync(folder)).toEqual(['in.safetensors']);
});

test('a checkpoint that is FP8 already is refused', async () => {
  await run('quantize', input, output, '--architecture', 'wan');
  const again = await run('quantize', output, join(folder, 'again.safetensors'), '--architecture', 'wan');
  expect(again.exitCode).toBe(2);
  expect(again.stderr).toMatch(/^error: blocks\.0\..* is F8_E4M3: it has 8 bits already, .*\n$/);
  expect(existsSync(join(folder, 'again.safetensors'))).toBe(false);
});

test('Ctrl-C leaves no file', async () => {
  let stderr = '';
  const exitCode = await runCli(['quantize', input, output, '--architecture', 'wan'], {
    ...processContext(),
    stdout: { write: () => {} },
    stderr: { write: (text: string) => (stderr += text) },
    onInterrupt(callback) {
      setImmediate(callback);
      return () => {};
    },
  });
  expect(exitCode).toBe(130);
  expect(stderr).toBe('Stopping; nothing will be written.\n');
  expect(readdirSync(folder)).toEqual(['in.safetensors']);
});

test.each([
  ['architecture', FP8_TARGETS],
  ['fp8_format', FP8_FORMATS],
  ['quantization_mode', Object.fromEntries(FP8_MODES.map((mode) => [mode, mode]))],
])('the choices of %s are those of the package', (name, known) => {
  const command = findCommand('quantize');
  const spec = command && optionsOf(command).find((option) => option.name === name);
  expect(spec?.choices?.toSorted()).toEqual(Object.keys(known).toSorted());
});
