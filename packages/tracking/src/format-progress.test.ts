import { expect, test } from 'vitest';

import { formatDuration, formatProgress, type Progress } from './format-progress.ts';

const progress: Progress = {
  step: 9,
  totalSteps: 18,
  epoch: 2,
  totalEpochs: 4,
  loss: 0.08311,
  averageLoss: 0.5,
  learningRate: 1e-4,
  secondsPerStep: 1.234,
  secondsLeft: 11.1,
};

test('shows steps, losses, rate, pace and time left', () => {
  expect(formatProgress(progress)).toBe(
    'steps  9/18   50%  epoch 2/4  loss 0.0831  average 0.5000  lr 1.00e-4  1.23 s/step  0:11 left',
  );
});

test('shows items, pace and time left', () => {
  const line = formatProgress({ items: 9, totalItems: 18, secondsPerStep: 1.234, secondsLeft: 11.1 });
  expect(line).toBe('items  9/18   50%  0.81 items/s  0:11 left');
});

test.each([92, 80, 40, 10, 0])('fits into %i columns', (columns) => {
  const full = formatProgress(progress);
  const line = formatProgress(progress, { columns });
  expect(line.length).toBeLessThanOrEqual(columns);
  expect(full.startsWith(line)).toBe(true);
});

test('colours do not change the text', () => {
  const coloured = formatProgress(progress, { columns: 60, colour: true });
  expect(coloured).not.toBe(formatProgress(progress, { columns: 60 }));
  // oxlint-disable-next-line no-control-regex
  expect(coloured.replaceAll(/\u001B\[\d+m/g, '')).toBe(formatProgress(progress, { columns: 60 }));
});

test('says nothing it does not know', () => {
  const first = {
    ...progress,
    step: 0,
    loss: Number.NaN,
    secondsPerStep: Number.NaN,
    secondsLeft: Number.NaN,
    learningRate: 0,
  };
  expect(formatProgress(first)).toBe(
    'steps  0/18    0%  epoch 2/4  loss NaN  average 0.5000  lr 0  - s/step  -:-- left',
  );
});

test('keeps the digits of small losses', () => {
  expect(formatProgress({ ...progress, loss: 0.000012345 })).toContain('loss 1.23e-5');
});

test.each([
  [0, '0:00'],
  [9.4, '0:09'],
  [59.6, '1:00'],
  [750, '12:30'],
  [3723, '1:02:03'],
  [183_845, '2d 3:04:05'],
  [Number.NaN, '-:--'],
  [Infinity, '-:--'],
])('%f seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});
