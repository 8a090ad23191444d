import { describe, expect, test } from 'vitest';

import { runtimeErrorCodes } from './error.ts';
import { explain } from './explain.ts';

// Messages of onnxruntime-node 1.30.0 that its tests elsewhere cannot provoke on every machine.
const cases = [
  {
    message:
      "Non-zero status code returned while running Expand node. Name:'blocks.7/big' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 68719476736\n",
    expected: { code: 'OUT_OF_MEMORY', node: 'blocks.7/big', operator: 'Expand', bytes: 2 ** 36 },
  },
  { message: 'std::bad_alloc', expected: { code: 'OUT_OF_MEMORY' } },
  { message: 'Array buffer allocation failed', expected: { code: 'OUT_OF_MEMORY' } },
  {
    message: 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library',
    expected: { code: 'PROVIDER_UNAVAILABLE' },
  },
  {
    message:
      "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for MatMul(13) node with name 'blocks.0/attn/MatMul_2'",
    expected: { code: 'OPERATOR_UNSUPPORTED', node: 'blocks.0/attn/MatMul_2', operator: 'MatMul' },
  },
  {
    message:
      'Deserialize tensor w2 failed.tensorprotoutils.cc:1763 GetExtDataFromTensorProto External initializer: w2 offset: 33558531 size to read: 16777216 given file_length: 1000000 are out of bounds or can not be read in full.',
    expected: { code: 'EXTERNAL_FILE_TOO_SHORT', tensor: 'w2' },
  },
  { message: 'something nobody has seen', expected: { code: 'RUN_FAILED' } },
] as const;

describe('explain', () => {
  test.each(cases)('$message', ({ message, expected }) => {
    const cause = new Error(message);
    const error = explain(cause, 'RUN_FAILED', { label: 'train' });

    expect(error).toMatchObject({ name: 'RuntimeError', label: 'train', ...expected });
    expect(error.cause).toBe(cause);
    expect(error.message).toMatch(/^train: .*[.] .*[.]$/);
    expect(error.message).not.toMatch(/onnxruntime_src|\n/);
  });

  test('leaves errors of this package as they are', () => {
    const error = explain(new Error('x'), 'CREATE_FAILED', {});

    expect(explain(error, 'RUN_FAILED', { label: 'other' })).toBe(error);
  });

  test('says what is missing and what to do', () => {
    const message =
      "Non-zero status code returned while running MatMul node. Name:'blocks.3/ffn/MatMul_1' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 536870912";

    expect(explain(new Error(message), 'RUN_FAILED', { label: 'train' }).message).toMatchInlineSnapshot(
      `"train: not enough memory in node blocks.3/ffn/MatMul_1 (MatMul): 512 MiB at once. Lower the resolution, the number of frames or the batch size, or turn on gradient_checkpointing."`,
    );
  });
});

test('codes are unique', () => {
  expect(new Set(runtimeErrorCodes).size).toBe(runtimeErrorCodes.length);
});
