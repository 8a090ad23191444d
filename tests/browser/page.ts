// The page that runs tests: some in workers, some in itself.
import { type Report, type TestFile, merge, runTests } from './run-tests.ts';

import '../all-close.ts';

declare global {
  interface Window {
    runInWorkers(files: readonly TestFile[], count: number): Promise<Report>;
    runInPage(files: readonly TestFile[]): Promise<Report>;
  }
}

window.runInPage = runTests;

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
    worker.onmessage = ({ data }: MessageEvent<{ report?: Report; error?: string }>) =>
      data.report ? resolve(data.report) : reject(new Error(data.error));
    worker.onerror = (event) => reject(new Error(`${file.path}: the worker failed: ${event.message}`));
    worker.postMessage(file, []);
  });
