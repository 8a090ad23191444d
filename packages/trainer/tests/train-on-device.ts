import { rename } from 'node:fs/promises';

import { openRunFolder, rewriteTensors } from './run-folder.ts';

/** A process of its own: `train-on-device.ts <run> <options> [BF16]` trains, with a base in that type, and prints losses and lines as JSON. */
const [name = '', options = '', dtype] = process.argv.slice(2);
const folder = await openRunFolder(name);
try {
  if (dtype === 'BF16') {
    await rewriteTensors('dit.safetensors', 'new.safetensors', (tensor) => ({ ...tensor, dtype }));
    await rename('new.safetensors', 'dit.safetensors');
  }
  const { losses, lines } = await folder.run(options);
  process.stdout.write(`\nresult ${JSON.stringify({ losses, lines })}\n`);
} catch (error) {
  const { code, message, facts } = error as { code?: string; message?: string; facts?: unknown };
  process.stdout.write(`\nresult ${JSON.stringify({ code, message, facts })}\n`);
} finally {
  await folder.close();
}
