import { expect, test } from 'vitest';

import { toDevice } from './to-device.ts';

function read(device: string | null) {
  const problems: string[] = [];
  const choice = toDevice({
    textOrNull: () => device,
    problem: (code, name, message, remedy) => void problems.push([code, name, message, remedy].join(' | ')),
  });
  return { choice, problems };
}

test.each([
  [null, { kind: 'auto', index: 0 }],
  ['webgpu', { kind: 'webgpu', index: 0 }],
  ['webgpu:0', { kind: 'webgpu', index: 0 }],
  ['cuda:1', { kind: 'cuda', index: 1 }],
  ['dml:2', { kind: 'dml', index: 2 }],
])('%s is a device', (written, choice) => {
  expect(read(written)).toEqual({ choice, problems: [] });
});

test.each(['webgpu:1', 'coreml:1', 'auto:1', 'cpu:1'])(
  '%s has a number that ONNX Runtime takes for others',
  (written) => {
    const kind = written.replace(':1', '');
    expect(read(written).problems).toEqual([
      `BAD_CHOICE | device | ${kind} takes no number: ONNX Runtime has one for cuda and dml alone. | Write ${kind}.`,
    ]);
  },
);

test.each(['mps', 'CUDA', 'cuda:', 'cuda:-1', 'cuda:99999999999999999999'])('%s is no device', (written) => {
  expect(read(written).problems).toEqual([
    expect.stringMatching(/^BAD_CHOICE \| device \| is not a device\. \| Write /),
  ]);
});
