import { resolveOptions } from '@musubi/config';
import { type TrainOutcome, type TrainStep, runTraining } from '@musubi/trainer/web';

import type { RunFiles } from './run-files.ts';
import { type Device, startRuntime } from './start-runtime.ts';

export interface RunHooks {
  readonly onStart: (totalSteps: number) => void;
  readonly onStep: (step: TrainStep) => void;
  readonly onSave: (file: string, bytes: Uint8Array) => void;
  readonly onLine: (line: string) => void;
}

/** A run that is under way. */
export interface RunningTraining {
  readonly outcome: Promise<TrainOutcome>;
  /** Ends it after its step, with the adapter saved. */
  readonly stop: () => void;
  /** Ends it at once and frees all memory; `outcome` stays open. */
  readonly kill: () => void;
}

export function startTraining({ command, files }: RunFiles, device: Device, hooks: RunHooks): RunningTraining {
  const stopping = new AbortController();
  let kill: (() => void) | null = null;

  async function run(): Promise<TrainOutcome> {
    // before anything is loaded: most mistakes are in the settings
    const [name = '', ...argv] = command;
    const { config, answers } = await resolveOptions({
      command: name,
      argv,
      readText: (path) => readText(files, path),
    });
    for (const answer of answers) hooks.onLine(answer);
    const started = startRuntime(device);
    kill = started.kill;
    try {
      const runtime = await started.runtime;
      const { version, threads } = runtime.info;
      hooks.onLine(`ONNX Runtime ${version} on ${device === 'webgpu' ? 'WebGPU' : `WASM, threads: ${threads}`}.`);
      return await runTraining(config, {
        files,
        runtime,
        logger: hooks.onLine,
        signal: stopping.signal,
        onEvent: (event) => event.type === 'start' && hooks.onStart(event.totalSteps),
        onStep: hooks.onStep,
        onSave: hooks.onSave,
      });
    } finally {
      // sessions are released by now; this ends the worker, and with it all that is left on the graphics card
      await started.runtime.then((runtime) => runtime.close(), started.kill);
    }
  }
  return { outcome: run(), stop: () => stopping.abort(), kill: () => kill?.() };
}

async function readText(files: ReadonlyMap<string, Blob>, path: string): Promise<string> {
  const blob = files.get(path);
  if (blob) return blob.text();
  throw new Error(`no such file: ${path}`);
}
