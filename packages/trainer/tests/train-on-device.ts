import { rename } from 'node:fs/promises';

import { type RunFolder, openRunFolder, rewriteTensors } from './run-folder.ts';

/** A run with other options, of a base in another type where one is given. */
export interface Training {
  readonly run: string;
  readonly options: string;
  readonly dtype?: 'BF16';
}

export interface Trained {
  readonly losses: readonly number[];
  readonly lines: readonly string[];
}

// Folders stay to the end: esbuild, which makes workers of sources, works in the first one.
const folders: RunFolder[] = [];

async function train({ run, options, dtype }: Training): Promise<Trained> {
  const folder = await openRunFolder(run);
  folders.unshift(folder);
  if (dtype) {
    await rewriteTensors('dit.safetensors', 'new.safetensors', (tensor) => ({ ...tensor, dtype }));
    await rename('new.safetensors', 'dit.safetensors');
  }
  const { losses, lines } = await folder.run(options);
  return { losses, lines };
}

// `train-on-device.ts <trainings as JSON>` prints what came of them as JSON, or the error.
try {
  const trained: Trained[] = [];
  for (const training of JSON.parse(process.argv[2] ?? '[]') as Training[]) trained.push(await train(training));
  process.stdout.write(`\nresult ${JSON.stringify(trained)}\n`);
} catch (error) {
  const { code, message, facts } = error as { code?: string; message?: string; facts?: unknown };
  process.stdout.write(`\nresult ${JSON.stringify({ code, message, facts })}\n`);
} finally {
  for (const folder of folders) await folder.close();
}
