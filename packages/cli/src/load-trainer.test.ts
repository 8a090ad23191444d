import { expect, test } from 'vitest';

import { assertRuntime } from './load-trainer.ts';

const linux = { platform: 'linux', arch: 'x64' };

function missing(): never {
  throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
}

test('a missing ONNX Runtime is named with the one command that installs it', () => {
  expect(() => assertRuntime(missing, linux)).toThrow(expect.objectContaining({ code: 'RUNTIME_MISSING' }));
  expect(() => assertRuntime(missing, linux)).toThrow(
    'npm install --onnxruntime-node-install=skip @musubi/cli onnxruntime-node@1.30.0',
  );
});

test('a machine without a build is told so', () => {
  expect(() => assertRuntime((name) => name, { platform: 'darwin', arch: 'x64' })).toThrow(
    expect.objectContaining({ code: 'RUNTIME_UNSUPPORTED' }),
  );
});

test('an installed runtime passes', () => {
  expect(() => assertRuntime((name) => name, linux)).not.toThrow();
});
