// The page that runs tests: some in workers, some in itself.
import { type Report, type TestFile, merge, runTests } from './run-tests.ts';

import '../all-close.ts';

declare global {
  interface Window {
    runInWorkers(files: readonly TestFile[], count: number): Promise<Report>;
    runInPage(files: readonly TestFile[]): Promise<Report>;
  }
}

/**
 * V8 hands a compiled module to all who load the same bytes, as long as one of them has it: with this one, ONNX Runtime is
 * compiled once a page, not for each worker anew.
 */
let engine: Promise<WebAssembly.Module> | undefined;

window.runInPage = async (files) => {
  engine ??= WebAssembly.compileStreaming(fetch('/onnxruntime/ort-wasm-simd-threaded.asyncify.wasm'));
  await engine;
  return runTests(files);
};

/** Each of `count` workers takes one file after another until none is left. */
window.runInWorkers = async (files, count) => {
  const waiting = [...files];
  const reports = await Promise.all(Array.from({ length: count }, () => runFromList(waiting)));
  return merge(reports.flat());
};

async function runFromList(waiting: TestFile[]): Promise<Report[]> {
  const worker = new Worker('/bundle/worker.js', { type: 'module' });
  const reports: Report[] = [];
  try {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
      reports.push(await runIn(worker, file));
  } finally {
    worker.terminate();
  }
  return reports;
}

const runIn = (worker: Worker, file: TestFile): Promise<Report> =>
  new Promise((resolve, reject) => {
    const heard = new AbortController();
    const once = { signal: heard.signal };
    const end = (action: () => void) => {
      heard.abort();
      action();
    };
    worker.addEventListener(
      'message',
      ({ data }: MessageEvent<{ report?: Report; error?: string }>) =>
        end(() => (data.report ? resolve(data.report) : reject(new Error(data.error)))),
      once,
    );
    worker.addEventListener(
      'error',
      (event) => end(() => reject(new Error(`${file.path}: the worker failed: ${event.message}`))),
      once,
    );
    worker.postMessage(file, []);
  });
