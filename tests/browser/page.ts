// The page that runs tests: some in a worker, some in itself.
import { type Report, type TestFile, runTests } from './run-tests.ts';

import '../all-close.ts';

declare global {
  interface Window {
    runInWorker(files: readonly TestFile[]): Promise<Report>;
    runInPage(files: readonly TestFile[]): Promise<Report>;
  }
}

window.runInPage = runTests;

window.runInWorker = (files) =>
  new Promise((resolve, reject) => {
    const worker = new Worker('/bundle/worker.js', { type: 'module' });
    const end = (action: () => void) => {
      worker.terminate();
      action();
    };
    worker.addEventListener('message', ({ data }: MessageEvent<{ report?: Report; error?: string }>) =>
      end(() => (data.report ? resolve(data.report) : reject(new Error(data.error)))),
    );
    worker.addEventListener('error', (event) => end(() => reject(new Error(`the worker failed: ${event.message}`))));
    worker.postMessage(files, []);
  });
