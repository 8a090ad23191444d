// The worker in which tests run that need no page.
import { type TestFile, runTests } from './run-tests.ts';

import '../all-close.ts';

addEventListener('message', ({ data }: MessageEvent<TestFile>) => {
  runTests([data]).then(
    (report) => postMessage({ report }),
    (error: unknown) => postMessage({ error: String(error instanceof Error ? error.stack : error) }),
  );
});
