import type { Runtime } from '@musubi/runtime';

import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { type RunFolder, openRunFolder, wanRuns } from './run-folder.ts';

interface RexCase {
  readonly id: string;
  readonly args: {
    readonly lr_scheduler?: string;
    readonly lr_scheduler_type?: string;
    readonly lr_scheduler_args?: readonly string[];
    readonly lr_warmup_steps?: number | null;
    readonly lr_scheduler_min_lr_ratio?: number | null;
    readonly learning_rate?: number;
    readonly max_train_steps?: number;
  };
  readonly group_lrs: readonly number[] | null;
  readonly num_processes: number;
  readonly output: { readonly lrs?: readonly number[] };
}

const golden = readGoldenJson<{
  settings: { defaults: { learning_rate: number; max_train_steps: number } };
  cases: RexCase[];
}>('maths', 'lr_schedulers.json');

const rexCases = golden.cases.filter(
  ({ args, group_lrs, num_processes, output }) =>
    args.lr_scheduler?.toLowerCase() === 'rex' &&
    !args.lr_scheduler_type &&
    group_lrs === null &&
    num_processes === 1 &&
    output.lrs,
);

/** Steps of each run; then it is interrupted, since only the length of the whole run shapes the curve. */
const steps = 4;

test('there are cases and a run to try them in', () => {
  if (isDefaultGolden) expect(Math.min(rexCases.length, wanRuns.length)).toBeGreaterThan(0);
});

describe.each(wanRuns.slice(0, 1))('runs like %s with REX', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  beforeAll(async () => {
    [folder, runtime] = [await openRunFolder(name), await createNodeRuntime()];
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  test.each(rexCases)('have the rates of $id', async ({ args, output }) => {
    const controller = new AbortController();
    const { defaults } = golden.settings;
    const options = [
      '--gradient_accumulation_steps 1',
      `--max_train_steps ${args.max_train_steps ?? defaults.max_train_steps}`,
      `--learning_rate ${args.learning_rate ?? defaults.learning_rate}`,
      `--lr_scheduler ${args.lr_scheduler}`,
      `--lr_warmup_steps ${args.lr_warmup_steps ?? 0}`,
      ...(args.lr_scheduler_args ? [`--lr_scheduler_args ${args.lr_scheduler_args.join(' ')}`] : []),
      ...(args.lr_scheduler_min_lr_ratio == null
        ? []
        : [`--lr_scheduler_min_lr_ratio ${args.lr_scheduler_min_lr_ratio}`]),
    ];
    const finished = await folder.run(options.join(' '), {
      runtime,
      signal: controller.signal,
      onStep: ({ step }) => step >= steps - 1 && controller.abort(),
    });
    const rates = finished.steps.map(({ stepLearningRates }) => stepLearningRates[0] ?? NaN);
    expect(rates.length).toBeGreaterThanOrEqual(steps - 1);
    expect(rates).toBeAllClose(output.lrs!.slice(0, rates.length), { rtol: 1e-12 });
  });
});
