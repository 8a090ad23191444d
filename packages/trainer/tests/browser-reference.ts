// `node browser-reference.ts RUN FOLDER`: trains a recorded run in Node.js, for browsers to be compared with.
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { browserOptions } from './browser-options.ts';
import { openRunFolder } from './run-folder.ts';

const [run = '', target = ''] = process.argv.slice(2);
const reference = resolve(target);
await mkdir(reference, { recursive: true });
const folder = await openRunFolder(run);
try {
  const { losses, outcome } = await folder.run(browserOptions);
  await copyFile(outcome.path ?? '', join(reference, 'adapter.safetensors'));
  await writeFile(join(reference, 'run.json'), JSON.stringify({ losses }));
} finally {
  await folder.close();
}
