// `node browser-reference.ts RUN SIZE FOLDER`: trains a recorded run in Node.js, for browsers to be compared with.
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { gradientName } from '@musubi/autodiff';
import { createNodeRuntime } from '@musubi/runtime/node';
import { fromFloat32 } from '@musubi/safetensors';
import { writeSafetensorsFile } from '@musubi/safetensors/node';

import { type RunSize, browserOptions, changedFiles, savedFiles } from './browser-options.ts';
import { type Call, recording } from './recording-runtime.ts';
import { openRunFolder } from './run-folder.ts';

const [run = '', size = '', target = ''] = process.argv.slice(2);
const reference = resolve(target);
await mkdir(reference, { recursive: true });
const runtime = await createNodeRuntime();
const folder = await openRunFolder(run);
try {
  for (const [file, change] of Object.entries(changedFiles[size as RunSize])) {
    const path = join(folder.path, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  }
  const calls: Call[] = [];
  const { losses, outcome } = await folder.run(browserOptions, { runtime: recording(runtime, calls) });
  const output = dirname(outcome.path ?? '');
  for (const file of savedFiles) await copyFile(join(output, file), join(reference, file));
  await writeFile(join(reference, 'run.json'), JSON.stringify({ losses }));
  await writeSafetensorsFile(join(reference, 'gradients.safetensors'), calls.flatMap(gradientsOf));
} finally {
  await folder.close();
  await runtime.close();
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
