import { expect, test } from 'vitest';

import type { Progress } from './format-progress.ts';
import { createTerminalProgress } from './terminal-progress.ts';

const at = (step: number): Progress => ({
  step,
  totalSteps: 3,
  epoch: 1,
  totalEpochs: 1,
  loss: 1,
  averageLoss: 1,
  learningRate: 1e-3,
  secondsPerStep: 1,
  secondsLeft: 3 - step,
});

function setUp(isTTY: boolean, environment: Record<string, string> = {}, columns = 20) {
  const written: string[] = [];
  let time = 0;
  const progress = createTerminalProgress({
    stream: { write: (text: string) => written.push(text), isTTY, columns },
    environment,
    now: () => time,
    plainIntervalMs: 1000,
  });
  return { written, progress, wait: (ms: number) => (time += ms) };
}

test('prints plain lines now and then where there is no terminal', () => {
  const { written, progress, wait } = setUp(false);
  progress.update(at(0));
  wait(500);
  progress.update(at(1));
  progress.line('saving checkpoint: m.safetensors');
  wait(500);
  progress.update(at(2));
  progress.update(at(3));
  progress.end();
  expect(written.join('')).toBe(
    [
      'steps 0/3    0%  epoch 1/1  loss 1.0000  average 1.0000  lr 1.00e-3  1.00 s/step  0:03 left',
      'saving checkpoint: m.safetensors',
      'steps 2/3   66%  epoch 1/1  loss 1.0000  average 1.0000  lr 1.00e-3  1.00 s/step  0:01 left',
      'steps 3/3  100%  epoch 1/1  loss 1.0000  average 1.0000  lr 1.00e-3  1.00 s/step  0:00 left',
      '',
    ].join('\n'),
  );
});

test('shows the last state at the end even when a run stops early', () => {
  const { written, progress } = setUp(false);
  progress.update(at(0));
  progress.update(at(1));
  progress.end();
  expect(written).toHaveLength(2);
  expect(written[1]).toContain('steps 1/3');
});

test('rewrites one line of a terminal and puts messages above it', () => {
  const { written, progress, wait } = setUp(true, { NO_COLOR: '1' });
  progress.update(at(0));
  progress.update(at(1)); // too soon
  wait(100);
  progress.update(at(2));
  progress.line('epoch 1/1');
  progress.end();
  expect(written).toEqual([
    '\rsteps 0/3    0%\u001B[K',
    '\rsteps 2/3   66%\u001B[K',
    '\r\u001B[Kepoch 1/1\n',
    '\rsteps 2/3   66%\u001B[K',
    '\n',
  ]);
});

test.each([
  [{}, true],
  [{ NO_COLOR: '' }, true],
  [{ NO_COLOR: '1' }, false],
  [{ TERM: 'dumb' }, false],
])('with %j a terminal gets colours: %s', (environment, isColoured) => {
  const { written, progress } = setUp(true, environment, 80);
  progress.update(at(0));
  expect(written.join('').includes('\u001B[2m')).toBe(isColoured);
});

test('ends without a word when nothing happened', () => {
  const { written, progress } = setUp(true);
  progress.end();
  expect(written).toEqual([]);
});
