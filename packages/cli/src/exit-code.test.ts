import { expect, test } from 'vitest';

import type { DatasetErrorCode } from '../../dataset/src/errors.ts';
import type { LoraErrorCode } from '../../lora/src/errors.ts';
import type { ModelErrorCode } from '../../models/src/errors.ts';
import type { OptimizerErrorCode } from '../../optimizers/src/errors.ts';
import type { Fp8ErrorCode } from '../../quant-fp8/src/errors.ts';
import type { RuntimeErrorCode } from '../../runtime/src/error.ts';
import type { SafetensorsErrorCode } from '../../safetensors/src/error.ts';
import type { TokenizerErrorCode } from '../../tokenizer/src/errors.ts';
import type { WandbErrorCode } from '../../tracking/src/wandb/errors.ts';
import type { TrainerErrorCode } from '../../trainer/src/errors.ts';
import type { CliError } from './errors.ts';

import { exitCodeOf } from './exit-code.ts';

/** Of each class the codes that exit with one of the two; the types know that these codes exist. */
interface Codes {
  CliError: CliError['code'];
  DatasetError: DatasetErrorCode;
  Fp8Error: Fp8ErrorCode;
  LoraError: LoraErrorCode;
  ModelError: ModelErrorCode;
  OptimizerError: OptimizerErrorCode;
  RuntimeError: RuntimeErrorCode;
  SafetensorsError: SafetensorsErrorCode;
  TokenizerError: TokenizerErrorCode;
  TrainerError: TrainerErrorCode;
  WandbError: WandbErrorCode;
}
type Listed = { readonly [Name in keyof Codes]: readonly Codes[Name][] };

const mistakes: Listed = {
  CliError: ['USAGE'],
  DatasetError: ['TOML_SYNTAX', 'CONFIG_INVALID', 'FILE_NOT_FOUND', 'OPTION_OUT_OF_RANGE', 'NO_TRAINING_ITEMS'],
  Fp8Error: ['BLOCK_SIZE_INVALID', 'ALREADY_QUANTIZED', 'NOT_FINITE', 'READ_FAILED'],
  LoraError: ['RANK_INVALID', 'NOT_A_LORA', 'FILE_MISSING', 'TARGET_NOT_FOUND'],
  ModelError: ['HEADS_UNKNOWN', 'KEY_MISMATCH', 'UNSUPPORTED_MODEL'],
  OptimizerError: ['UNKNOWN_OPTIMIZER', 'OPTIMIZER_ARGUMENT'],
  RuntimeError: ['PROVIDER_UNAVAILABLE'],
  SafetensorsError: ['NOT_SAFETENSORS', 'TRUNCATED', 'HEADER_TOO_LARGE', 'PICKLE_REFUSED', 'FILE_NOT_FOUND'],
  TokenizerError: ['TOKENIZER_NOT_FOUND', 'NOT_A_TOKENIZER'],
  TrainerError: ['OPTION_CONFLICT', 'OUTPUT_UNWRITABLE'],
  WandbError: ['WANDB_KEY', 'WANDB_SPOOL'],
};

const failures: Listed = {
  CliError: ['RUNTIME_MISSING', 'RUNTIME_UNSUPPORTED', 'PNG_UNAVAILABLE', 'FIX_FAILED'],
  DatasetError: [
    'CACHE_UNREADABLE',
    'CACHE_NOT_FINITE',
    'CACHE_DUPLICATE_CONTENT',
    'BATCH_MIXED_SHAPES',
    'BATCH_MIXED_DTYPES',
    'DECODER_FAILED',
  ],
  Fp8Error: ['WRITE_FAILED', 'HOOK_RESULT', 'INTERNAL'],
  LoraError: ['SHA256_UNAVAILABLE'],
  ModelError: ['BAD_BATCH'],
  OptimizerError: ['BAD_GRADIENT', 'BAD_PARAMETERS', 'EVAL_MODE', 'WRONG_STATE'],
  RuntimeError: ['ENGINE_MISSING', 'OUT_OF_MEMORY', 'RUN_FAILED', 'WORKER_CRASHED'],
  SafetensorsError: ['WRITE_FAILED', 'FILE_IN_USE', 'TENSOR_NOT_FOUND', 'NAME_RESERVED', 'CONVERSION_UNSUPPORTED'],
  TokenizerError: ['DOWNLOAD_DENIED', 'DOWNLOAD_NOT_FOUND', 'DOWNLOAD_FAILED', 'CACHE_NOT_WRITABLE'],
  TrainerError: ['NON_FINITE_LOSS', 'BATCH_UNFIT', 'CACHE_OF_OTHER_MODEL', 'DEVICE_LEFT'],
  WandbError: ['WANDB_UNREACHABLE', 'WANDB_ANSWER', 'WANDB_REFUSED'],
};

const listed = (codes: Listed) =>
  Object.entries(codes).flatMap(([name, list]) => list.map((code): [string, string] => [name, code]));

test.each(listed(mistakes))('%s %s is about what was given', (name, code) => {
  expect(exitCodeOf({ name, code })).toBe(2);
});

test.each(listed(failures))('%s %s is about the run or the machine', (name, code) => {
  expect(exitCodeOf({ name, code })).toBe(1);
});

test('a class that is not known failed', () => {
  expect(exitCodeOf({ name: 'OtherError', code: 'OTHER' })).toBe(1);
});

test.each([
  ['what is behind it', 'SafetensorsError', 'TRUNCATED', 2],
  ['what is behind it', 'SafetensorsError', 'WRITE_FAILED', 1],
])('a file that cannot be used counts by %s: %s %s', (_, name, code, expected) => {
  const cause = Object.assign(new Error('x'), { name, code });
  expect(exitCodeOf({ name: 'TrainerError', code: 'FILE_UNUSABLE', cause })).toBe(expected);
});

test('a file that cannot be used was given, where nothing is behind it', () => {
  expect(exitCodeOf({ name: 'TrainerError', code: 'FILE_UNUSABLE' })).toBe(2);
});
