// `node browser-references.ts RUN FOLDER`: trains a recorded run in Node.js, for browsers to be compared with. The folder
// gets one of each size, and `eight-bit` for the runs of `eightBitRuns`.
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { gradientName } from '@musubi/autodiff';
import { createNodeRuntime } from '@musubi/runtime/node';
import { fromFloat32 } from '@musubi/safetensors';
import { writeSafetensorsFile } from '@musubi/safetensors/node';

import {
  type RunSize,
  browserOptions,
  changedFiles,
  eightBitRuns,
  eightBitSteps,
  runSizes,
  savedFiles,
} from './browser-options.ts';
import { type Call, recording } from './recording-runtime.ts';
import { type RunFolder, openRunFolder, rewriteTensors } from './run-folder.ts';

const [run = '', target = ''] = process.argv.slice(2);
const references = resolve(target);
const runtime = await createNodeRuntime();
try {
  for (const size of runSizes) await inRunFolder(size, join(references, size), writeTraining);
  await inRunFolder('tiny', join(references, 'eight-bit'), writeEightBitLosses);
} finally {
  await runtime.close();
}

/** With a copy of the recorded run in that size, and the folder that gets what comes of it. */
async function inRunFolder(
  size: RunSize,
  reference: string,
  write: (folder: RunFolder, reference: string) => Promise<void>,
): Promise<void> {
  await mkdir(reference, { recursive: true });
  const folder = await openRunFolder(run);
  try {
    for (const [file, change] of Object.entries(changedFiles[size])) {
      const path = join(folder.path, file);
      await writeFile(path, change(await readFile(path, 'utf8')));
    }
    await write(folder, reference);
  } finally {
    await folder.close();
  }
}

async function writeTraining(folder: RunFolder, reference: string): Promise<void> {
  const calls: Call[] = [];
  const { losses, outcome } = await folder.run(browserOptions, { runtime: recording(runtime, calls) });
  const output = dirname(outcome.path ?? '');
  for (const file of savedFiles) await copyFile(join(output, file), join(reference, file));
  await writeFile(join(reference, 'run.json'), JSON.stringify({ losses }));
  await writeSafetensorsFile(join(reference, 'gradients.safetensors'), calls.flatMap(gradientsOf));
}

/** All gradients of a step, named by it and the parameter. */
function gradientsOf({ feeds, outputs }: Call, step: number) {
  return Object.keys(feeds).flatMap((name) => {
    const gradient = outputs[gradientName(name)];
    if (!gradient) return [];
    const data = fromFloat32(gradient.data as Float32Array, 'F32');
    return [{ name: `${step}/${name}`, dtype: 'F32' as const, shape: gradient.shape, data }];
  });
}

async function writeEightBitLosses(folder: RunFolder, reference: string): Promise<void> {
  await rewriteTensors('dit.safetensors', 'brain.safetensors', (tensor) => ({ ...tensor, dtype: 'BF16' }));
  await rename('brain.safetensors', 'dit.safetensors');
  await copyFile('dit.safetensors', join(reference, 'dit.safetensors'));
  const losses: Record<string, readonly number[]> = {};
  for (const options of eightBitRuns) {
    const finished = await folder.run(`${browserOptions} --max_train_steps ${eightBitSteps} ${options}`, { runtime });
    losses[options] = finished.losses;
  }
  await writeFile(join(reference, 'losses.json'), JSON.stringify(losses));
}
