import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Graph, encodeModel, exp } from '@musubi/onnx-graph';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { processContext } from './context.ts';
import { runCli } from './run-cli.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'musubi-inspect-'));
  const graph = new Graph('small');
  graph.output('y', exp(exp(graph.input('x', 'float32', ['B', 'S', 4]))));
  await writeFile(join(folder, 'training_model.onnx'), encodeModel(graph));
  const event = {
    cat: 'Node',
    name: 'Exp_1_kernel_time',
    dur: 2e6,
    args: { op_name: 'Exp', provider: 'CPUExecutionProvider' },
  };
  await writeFile(join(folder, 'profile.json'), JSON.stringify([event]));
});
afterAll(() => rm(folder, { recursive: true }));

async function run(...argv: string[]) {
  const written = { stdout: '', stderr: '' };
  const context = {
    ...processContext(),
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
  };
  return { code: await runCli(['inspect', ...argv], context), ...written };
}

test('tells operators, lengths, memory and where nodes ran', async () => {
  const profile = join(folder, 'profile.json');
  const { code, stdout } = await run(folder, '--dim', 'B=2', '--dim', 'S=8', '--profile', profile, '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    name: 'small',
    lengths: { B: 2, S: 8 },
    operators: [{ operator: 'Exp', count: 2, flops: 2 * 64 }],
    memory: { peakLiveBytes: 2 * 256 },
    profile: [{ operator: 'Exp', provider: 'CPU', count: 1, seconds: 2 }],
  });
});

test('as text it says the same', async () => {
  const { stdout } = await run(join(folder, 'training_model.onnx'));
  expect(stdout).toContain('small: 2 nodes, 8.19 kFLOP at B = 1, S = 1024');
  expect(stdout).toContain('Memory above the weights: 32 KiB alive');
});

test.each([
  [['--dim', 'B'], '"B" is no length. Write e.g. --dim B=1 S=2048.'],
  [['--dim', 'Q=1'], 'the graph has no length Q. It has B, S.'],
])('%j exits with 2', async (argv, message) => {
  const { code, stderr } = await run(folder, ...argv);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});

test.each([
  ['--profile', 'profile = "ABSENT": '],
  ['', 'model = "ABSENT": '],
])('a file that is not there exits with 2 and is named: %s', async (option, message) => {
  const absent = join(folder, 'absent');
  const { code, stderr } = await run(...(option ? [folder, option, absent] : [absent]));
  expect(stderr).toContain(message.replace('ABSENT', absent));
  expect(stderr).toMatch(/^error: .*Give .*[.]\n$/);
  expect(code).toBe(2);
});

test('a file that is no model exits with 2 and is named', async () => {
  const { code, stderr } = await run(join(folder, 'profile.json'));
  expect(stderr).toMatch(/^error: model = ".*profile[.]json": .*no(t an)? .*model.*\n$/i);
  expect(code).toBe(2);
});

test.each([
  ['{}', 'it is no list of events'],
  ['[{"cat": "Node", "name"', 'it is no list of events'],
  ['[null, 5, {"cat": "Node", "name": 5}, {"args": null}]', 'it has no times of nodes'],
  [
    '[{"cat": "Node", "name": "Exp_kernel_time", "args": {"op_name": "Exp", "provider": 1}}]',
    'it has no times of nodes',
  ],
])('a file that is no profile, %s, exits with 2 and is named', async (text, message) => {
  const file = join(folder, 'other.json');
  await writeFile(file, text);
  const { code, stderr } = await run(folder, '--profile', file);
  expect(stderr).toBe(
    `error: profile = "${file}": ${message}. Give a file that ONNX Runtime wrote with profiling on.\n`,
  );
  expect(code).toBe(2);
});
