import { describe, expect, test } from 'vitest';

import type { CliContext } from './context.ts';
import { runCli } from './run-cli.ts';
import type { CacheHooks, CachingOutcome, Trainer } from './trainer.ts';

const finished: CachingOutcome = { status: 'finished', written: 3, kept: 0, removed: 0, failures: [] };
const notAsked = () => Promise.reject(new Error('another run was asked for'));

function setUp(trainer: Partial<Trainer>) {
  const written = { stdout: '', stderr: '', listeners: new Set<() => void>() };
  const context: CliContext = {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    environment: {},
    readText: notAsked,
    loadTrainer: async () => ({
      runTraining: notAsked,
      runCacheLatents: notAsked,
      runCacheTexts: notAsked,
      estimateRun: notAsked,
      ...trainer,
    }),
    onInterrupt(callback) {
      written.listeners.add(callback);
      return () => written.listeners.delete(callback);
    },
    exitAtOnce: () => {},
  };
  const run = (line: string) => runCli(line.split(' '), context);
  return { written, run, press: () => written.listeners.forEach((callback) => callback()) };
}

const latents = '--dataset_config d.toml --vae vae.pth';
const texts = '--dataset_config d.toml --t5 t5.pth';

describe('the command picks the run', () => {
  test.each([
    `cache_latents --architecture wan ${latents}`,
    `wan_cache_latents ${latents}`,
    `src/musubi_tuner/wan_cache_latents.py ${latents}`,
  ])('%s', async (line) => {
    const seen: unknown[] = [];
    const { written, run } = setUp({ runCacheLatents: async (config) => (seen.push(config), finished) });
    expect(await run(line)).toBe(0);
    expect(seen).toMatchObject([{ datasetConfig: 'd.toml', vae: 'vae.pth', vaeDtype: 'bf16', skipExisting: false }]);
    expect(written).toMatchObject({ stdout: 'Done: 3 caches written.\n', stderr: '' });
    expect(written.listeners.size).toBe(0);
  });

  test.each([
    `cache_text_encoder_outputs --architecture wan ${texts} --tokenizer dir`,
    `wan_cache_text_encoder_outputs ${texts} --tokenizer dir --batch_size 16`,
  ])('%s', async (line) => {
    const seen: unknown[] = [];
    const { run } = setUp({ runCacheTexts: async (config) => (seen.push(config), finished) });
    expect(await run(line)).toBe(0);
    expect(seen).toMatchObject([{ datasetConfig: 'd.toml', t5: 't5.pth', tokenizer: 'dir' }]);
  });

  test.each([
    [`cache_latents ${latents}`, /architecture is missing\. Add --architecture wan, or write wan_cache_latents\./],
    ['wan_cache_latents --dataset_config d.toml', /vae is missing\. Add --vae /],
    [`wan_cache_text_encoder_outputs --dataset_config d.toml`, /t5 is missing\. Add --t5 /],
    [`wan_cache_latents ${latents} --batch_size 0`, /batch_size/],
  ])('%s exits with 2', async (line, message) => {
    const { written, run } = setUp({});
    expect(await run(line)).toBe(2);
    expect(written.stderr).toMatch(message);
  });
});

const line = `wan_cache_latents ${latents}`;
const runWith = (make: (hooks: CacheHooks, press: () => void) => CachingOutcome) => {
  const set = setUp({ runCacheLatents: async (_, hooks) => make(hooks, set.press) });
  return set;
};

test('shows progress with items a second and the time left', async () => {
  const { written, run } = runWith(({ onProgress, logger }) => {
    onProgress({ items: 0, totalItems: 4 });
    logger('a line');
    onProgress({ items: 4, totalItems: 4 });
    return { ...finished, kept: 2, removed: 1 };
  });
  expect(await run(line)).toBe(0);
  expect(written.stderr).toMatch(/^items 0\/4 {4}0%.*\na line\nitems 4\/4 {2}100% {2}[\d.]+ items\/s {2}0:00 left\n$/);
  expect(written.stdout).toBe('Done: 3 caches written, 2 kept, 1 removed.\n');
});

test('items left out make the exit code 1', async () => {
  const failure = { datasetIndex: 0, key: 'a.png', file: 'a.png', error: new Error('broken') };
  const { run } = runWith(() => ({ ...finished, failures: [failure as never] }));
  expect(await run(line)).toBe(1);
});

test('Ctrl-C lets the batch end and exits with 130', async () => {
  const { written, run } = runWith(({ signal }, press) => {
    press();
    expect(signal.aborted).toBe(true);
    return { ...finished, status: 'interrupted', written: 1 };
  });
  expect(await run(line)).toBe(130);
  expect(written.stderr).toBe('Stopping after this batch, then saving. Ctrl-C again stops at once, without saving.\n');
  expect(written.stdout).toBe('Interrupted: 1 cache written. The same command again goes on from here.\n');
});

test('pictures that are shown are all that is printed', async () => {
  const { written, run } = runWith(({ show, isTerminal }) => {
    show(`a picture${isTerminal ? ' in a terminal' : ''}\n`);
    return { ...finished, written: 0 };
  });
  expect(await run('wan_cache_latents --dataset_config d.toml --debug_mode console')).toBe(0);
  expect(written).toMatchObject({ stdout: 'a picture\n', stderr: '' });
});
