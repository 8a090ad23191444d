import type { Runtime } from '@musubi/runtime';

import { resolveOptions } from '@musubi/config';
import { Graph, encodeModel, neg } from '@musubi/onnx-graph';
import { createWebRuntime } from '@musubi/runtime/web';
import { expect } from 'vitest';

import { fetchFolder } from '../../../tests/browser/fetch-folder.ts';
import { runTraining } from '../src/web.ts';
import { type RunSize, changedFiles } from './browser-options.ts';
import { type Call, recording } from './recording-runtime.ts';

/** The files of the recorded run in a page. */
export async function fetchRun(size: RunSize): Promise<Map<string, Blob>> {
  const files = await fetchFolder('/golden/runs/wan_t2v');
  for (const [file, change] of Object.entries(changedFiles[size])) {
    files.set(file, new Blob([change((await files.get(file)?.text()) ?? '')]));
  }
  return files;
}

export interface PageRun {
  readonly losses: readonly number[];
  readonly calls: readonly Call[];
  /** By the names of the files. */
  readonly saved: ReadonlyMap<string, Uint8Array>;
  readonly lines: readonly string[];
}

const opened = new Map<string, Promise<Runtime>>();

/**
 * ONNX Runtime in a worker, one for all test files of the page, with which it ends: software compiles the shaders of a
 * training step for 20 seconds.
 *
 * @param script of the worker: `runtime-wasm-worker` has the build for the CPU alone
 */
export function sharedRuntime(
  device: 'wasm' | 'webgpu',
  script: 'runtime-worker' | 'runtime-wasm-worker' = 'runtime-worker',
): Promise<Runtime> {
  const key = `${device} ${script}`;
  const runtime = opened.get(key) ?? openRuntime(device, script);
  opened.set(key, runtime);
  return runtime;
}

async function openRuntime(device: 'wasm' | 'webgpu', script: string): Promise<Runtime> {
  const runtime = await createWebRuntime({
    worker: new Worker(`/bundle/${script}.js`, { type: 'module' }),
    device,
    threads: 1,
    wasmPaths: `${location.origin}/onnxruntime/`,
  });
  // the device and its compiled shaders last as long as there is a session
  const graph = new Graph('kept');
  graph.output('y', neg(graph.input('x', 'float32', [1])));
  await runtime.createSession({ model: encodeModel(graph) });
  return runtime;
}

/** Trains in a page; the runtime stays open. */
export async function trainInPage(
  files: ReadonlyMap<string, Blob>,
  runtime: Runtime,
  options: string,
): Promise<PageRun> {
  const readText = async (path: string) => (await files.get(path)?.text()) ?? '';
  const argv = ['--config_file', 'config.toml', ...options.split(' ')];
  const { config } = await resolveOptions({ command: 'train', argv, readText });
  const [losses, calls, lines]: [number[], Call[], string[]] = [[], [], []];
  const saved = new Map<string, Uint8Array>();
  const { status } = await runTraining(config, {
    files,
    runtime: recording(runtime, calls, 'training_model'),
    logger: (line) => lines.push(line),
    onStep: ({ loss }) => losses.push(loss),
    onSave: (file, bytes) => void saved.set(file, bytes),
  });
  expect(status).toBe('finished');
  return { losses, calls, saved, lines };
}
