// `npm run quickstart`: installs, builds what it needs, and goes the whole way from pictures to a LoRA through the real
// command line, in quickstart/: captioned pictures, caches of latents and of text, training. The models are very small
// ones with random weights. Running it again starts afresh.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { installWorkspace, runPnpm } from './lib/package-managers.mjs';
import { quickStartCommands } from './lib/quick-start-commands.mjs';
import { runNode } from './lib/run.mjs';
import { root } from './lib/workspace.mjs';

const folder = join(root, 'quickstart');
const here = (...parts) => relative(process.cwd(), join(folder, ...parts));
const stages = 5;

try {
  console.log(`1/${stages}  Installing and building (without type declarations, which a run does not need)`);
  installWorkspace();
  build();

  console.log(`\n2/${stages}  Pictures, and small models with random weights, in ${here()}/`);
  const pictures = await prepare();

  console.log(`\n3/${stages}  Caching latents`);
  const latents = musubi(...quickStartCommands.latents);
  console.log(`\n4/${stages}  Caching text`);
  const texts = musubi(...quickStartCommands.texts);
  console.log(`\n5/${stages}  Training`);
  const training = musubi(...quickStartCommands.training);
  await report(pictures, { latents, texts, training });
} catch (error) {
  console.error(`\nquickstart: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

function build() {
  const args = ['exec', 'turbo', 'run', 'build', '--filter=@musubi/cli...', '--output-logs=errors-only'];
  if (!runPnpm(args, { env: { ...process.env, MUSUBI_BUILD_DTS: '0' } }).ok)
    throw new Error('the build failed; see above');
}

/** Writes everything a user brings along; returns the pictures. */
async function prepare() {
  // imports what the installation brings and the build makes
  const { writeQuickStart } = await import('./lib/quick-start.mjs');
  const pictures = await writeQuickStart(folder);
  for (const { file, caption } of pictures.slice(0, 3))
    console.log(`     ${relative(process.cwd(), file)}: ${caption}`);
  console.log(`     and ${pictures.length - 3} more, each with its caption in a text file`);
  return pictures;
}

/** Runs a command of the program as a user would type it; returns its seconds. */
function musubi(...args) {
  console.log(`     musubi ${args.join(' ')}\n`);
  const start = performance.now();
  const { ok, status } = runNode(join(root, 'packages', 'cli', 'dist', 'bin.js'), args, { cwd: folder });
  if (!ok) throw new Error(`musubi ${args[0]} ended with ${status}; see above`);
  return (performance.now() - start) / 1000;
}

function meanLoss(batches) {
  return (batches.reduce((sum, batch) => sum + batch['loss/current'], 0) / batches.length).toFixed(3);
}

async function report(pictures, seconds) {
  const { writePictureGrid } = await import('./lib/picture-grid.mjs');
  await writePictureGrid(
    pictures.map(({ file }) => file),
    join(folder, 'pictures.png'),
  );
  const batches = readFileSync(join(folder, 'output', 'my_lora.log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'batch');
  const caches = readdirSync(join(folder, 'cache')).filter((name) => name.endsWith('.safetensors'));
  const kilobytes = Math.round(statSync(join(folder, 'output', 'my_lora.safetensors')).size / 1000);
  const lines = [
    ['Pictures', `${pictures.length}, all in ${here('pictures.png')}`],
    ['Latents', `${seconds.latents.toFixed(1)} s`],
    [
      'Text',
      `${seconds.texts.toFixed(1)} s; ${caches.length} cache files in ${here('cache')}, which musubi-tuner reads too`,
    ],
    [
      'Training',
      `${batches.length} steps in ${seconds.training.toFixed(1)} s: loss ${meanLoss(batches.slice(0, 20))} in the first 20, ${meanLoss(batches.slice(-20))} in the last 20`,
    ],
    ['LoRA', `${here('output', 'my_lora.safetensors')} (${kilobytes} kB, rank 8)`],
    ['Log', `${here('output', 'my_lora.log.jsonl')}, a line a batch`],
  ];
  console.log('');
  for (const [what, text] of lines) console.log(`${what.padEnd(9)} ${text}`);
  console.log(`
The LoRA is of no use: its base has random weights. With real checkpoints the three commands above are the same; ${here('dataset.toml')}
and ${here('config.toml')} are files as musubi-tuner takes them.`);
}
