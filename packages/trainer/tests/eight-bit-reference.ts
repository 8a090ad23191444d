// `node eight-bit-reference.ts RUN FOLDER`: trains the runs of `eightBitRuns` in Node.js, for browsers to be compared with.
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { createNodeRuntime } from '@musubi/runtime/node';

import { browserOptions, changedFiles, eightBitRuns, eightBitSteps } from './browser-options.ts';
import { openRunFolder, rewriteTensors } from './run-folder.ts';

const [run = '', target = ''] = process.argv.slice(2);
const reference = resolve(target);
await mkdir(reference, { recursive: true });
const runtime = await createNodeRuntime();
const folder = await openRunFolder(run);
try {
  for (const [file, change] of Object.entries(changedFiles.tiny)) {
    const path = join(folder.path, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  }
  await rewriteTensors('dit.safetensors', 'brain.safetensors', (tensor) => ({ ...tensor, dtype: 'BF16' }));
  await rename('brain.safetensors', 'dit.safetensors');
  await copyFile('dit.safetensors', join(reference, 'dit.safetensors'));
  const losses: Record<string, readonly number[]> = {};
  for (const options of eightBitRuns) {
    const finished = await folder.run(`${browserOptions} --max_train_steps ${eightBitSteps} ${options}`, { runtime });
    losses[options] = finished.losses;
  }
  await writeFile(join(reference, 'losses.json'), JSON.stringify(losses));
} finally {
  await folder.close();
  await runtime.close();
}
