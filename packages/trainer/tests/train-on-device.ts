import { openRunFolder } from './run-folder.ts';

/** A process of its own: `train-on-device.ts <run> <options>` trains and prints losses and lines as JSON. */
const [name = '', options = ''] = process.argv.slice(2);
const folder = await openRunFolder(name);
try {
  const { losses, lines } = await folder.run(options);
  process.stdout.write(`\nresult ${JSON.stringify({ losses, lines })}\n`);
} catch (error) {
  const { code, message, facts } = error as { code?: string; message?: string; facts?: unknown };
  process.stdout.write(`\nresult ${JSON.stringify({ code, message, facts })}\n`);
} finally {
  await folder.close();
}
