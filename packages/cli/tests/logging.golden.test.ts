import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { readScalars } from '../../tracking/tests/read-events.ts';
import { startWandbServer, testKey, type WandbServer } from '../../tracking/tests/wandb-server.ts';
import { openRunFolder, type RunFolder, wanRuns } from '../../trainer/tests/run-folder.ts';
import * as trainer from '@musubi/trainer/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runCli } from '../src/index.ts';

interface RecordedRun {
  readonly micro_steps: readonly { readonly loss: number; readonly loss_average: number }[];
}

test('the repository has a whole run', () => {
  if (isDefaultGolden) expect(wanRuns).toContain('wan_t2v');
});

describe.each(wanRuns)('the logs of the whole run %s', (name) => {
  const recorded = readGoldenJson<RecordedRun>('runs', name, 'run.json');
  let folder: RunFolder;
  let server: WandbServer;
  let stderr = '';
  let lines: Record<string, unknown>[] = [];
  let scalars: [tag: string, step: number, value: number][] = [];
  let rows: Record<string, unknown>[] = [];

  beforeAll(async () => {
    [folder, server] = [await openRunFolder(name), await startWandbServer()];
    const options = '--log_with all --logging_dir logs --log_prefix pre_ --log_tracker_name tracker --log_config';
    const code = await runCli(
      ['train', '--config_file', 'config.toml', '--output_dir', 'output', ...options.split(' ')],
      {
        stdout: { write: () => true },
        stderr: { write: (text: string) => (stderr += text) },
        environment: { WANDB_API_KEY: testKey, WANDB_BASE_URL: server.url },
        readText: (path) => readFile(path, 'utf8'),
        loadTrainer: async () => trainer,
        onInterrupt: () => () => {},
        exitAtOnce: () => {},
      },
    );
    expect(code, stderr).toBe(0);
    const logs = (await readdir('output')).filter((file) => file.endsWith('.log.jsonl'));
    const text = await readFile(join('output', logs[0] ?? ''), 'utf8');
    lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const [runFolder = ''] = await readdir('logs');
    expect(runFolder).toMatch(/^pre_\d{14}$/);
    const inside = join('logs', runFolder, 'tracker');
    const [events = ''] = (await readdir(inside)).filter((file) => file.startsWith('events.out.tfevents.'));
    scalars = readScalars(new Uint8Array(await readFile(join(inside, events))));
    rows = [...server.runs.values()].flatMap((run) =>
      run.history.map((row) => JSON.parse(row) as Record<string, unknown>),
    );
  }, 120_000);
  afterAll(async () => {
    await server.close();
    await folder.close();
  });

  test('have the losses of the original', () => {
    const losses = scalars.filter(([tag]) => tag === 'loss/current').map(([, , value]) => value);
    const averages = scalars.filter(([tag]) => tag === 'loss/average').map(([, , value]) => value);
    expect(losses).toBeAllClose(
      recorded.micro_steps.map(({ loss }) => loss),
      { rtol: 1e-5 },
    );
    expect(averages).toBeAllClose(
      recorded.micro_steps.map((step) => step.loss_average),
      { rtol: 1e-5 },
    );
  });

  test('agree in every number', () => {
    const batches = lines.filter(({ event }) => event === 'batch');
    const epochs = lines.filter(({ event }) => event === 'epoch-end');
    const tags = ['loss/current', 'loss/average', 'lr/unet'];
    expect(rows).toHaveLength(batches.length);
    batches.forEach((batch, i) => {
      const picked = Object.fromEntries(tags.map((tag) => [tag, batch[tag]]));
      expect(rows[i]).toMatchObject({ ...picked, _step: i + 1, global_step: batch['step'], epoch: batch['epoch'] });
      // TensorBoard stores float32.
      expect(scalars.filter(([tag]) => tag !== 'loss/epoch').slice(i * tags.length, (i + 1) * tags.length)).toEqual(
        tags.map((tag) => [tag, batch['step'], Math.fround(Number(batch[tag]))]),
      );
    });
    expect(scalars.filter(([tag]) => tag === 'loss/epoch')).toEqual(
      epochs.map((epoch) => ['loss/epoch', epoch['epoch'], Math.fround(Number(epoch['loss/epoch']))]),
    );
    expect(rows.flatMap((row) => ('loss/epoch' in row ? [row['loss/epoch']] : []))).toEqual(
      epochs.map((epoch) => epoch['loss/epoch']),
    );
  });

  test('tell wandb the options without secrets and paths, and the end of the run', () => {
    const [run] = [...server.runs.values()];
    const config = JSON.parse(String(run?.variables['config'])) as Record<string, unknown>;
    expect(config).toMatchObject({ optimizer_type: { value: expect.any(String) as string } });
    expect(Object.keys(config)).not.toContain('dit');
    expect(run?.exitCode).toBe(0);
    expect(stderr).toContain(`wandb: ${server.url}/someone/tracker/runs/`);
    expect(stderr).not.toContain(testKey);
  });
});
