import { createRequire } from 'node:module';

import { CliError } from './errors.ts';
import type { Trainer } from './trainer.ts';

/** Loads the trainer, and with it everything heavy, after it has been made sure that ONNX Runtime is there. */
export async function loadTrainer(): Promise<Trainer> {
  assertRuntime(createRequire(import.meta.url).resolve, process);
  return await import('@musubi/trainer/node');
}

/**
 * `onnxruntime-node` is an optional dependency: when its install script fails, npm leaves it out without a word.
 *
 * @throws {CliError} `RUNTIME_MISSING`, `RUNTIME_UNSUPPORTED`
 */
export function assertRuntime(resolve: (name: string) => string, machine: { platform: string; arch: string }): void {
  if (machine.platform === 'darwin' && machine.arch === 'x64') {
    throw new CliError(
      'RUNTIME_UNSUPPORTED',
      'ONNX Runtime has no build for macOS on Intel processors.',
      'Use a Mac with Apple silicon, Linux or Windows.',
    );
  }
  try {
    resolve('onnxruntime-node');
  } catch (cause) {
    throw new CliError(
      'RUNTIME_MISSING',
      'ONNX Runtime (the package onnxruntime-node) is not installed; npm leaves it out when its install script cannot download what it wants.',
      `Install it without that download:\n\n  ${installCommand}\n`,
      { cause },
    );
  }
}

/** Both packages, so that it also helps after `npx @musubi/cli`, which installs into a folder of its own. */
const installCommand = 'npm install --onnxruntime-node-install=skip @musubi/cli onnxruntime-node@1.30.0';
