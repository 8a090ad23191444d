// `npm run quickstart`: installs, builds what it needs, trains a very small Wan model on the CPU through the real command
// line into quickstart/, and says what came out. Running it again starts afresh.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { installWorkspace, runPnpm } from './lib/package-managers.mjs';
import { runNode } from './lib/run.mjs';
import { copyRunInputs, trainArguments } from './lib/small-run.mjs';
import { root } from './lib/workspace.mjs';

const folder = join(root, 'quickstart');
const here = (...parts) => relative(process.cwd(), join(folder, ...parts));

try {
  console.log('1/3  Installing');
  installWorkspace();
  console.log('\n2/3  Building (without type declarations, which a run does not need)');
  build();
  console.log(`\n3/3  Training in ${here()}/`);
  console.log(`     musubi ${trainArguments.join(' ')}\n`);
  report(train());
} catch (error) {
  console.error(`\nquickstart: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}

function build() {
  const args = ['exec', 'turbo', 'run', 'build', '--filter=@musubi/cli...', '--output-logs=errors-only'];
  if (!runPnpm(args, { env: { ...process.env, MUSUBI_BUILD_DTS: '0' } }).ok)
    throw new Error('the build failed; see above');
}

/** Seconds of the training run. */
function train() {
  copyRunInputs(folder);
  const start = performance.now();
  const { ok, status } = runNode(join(root, 'packages', 'cli', 'dist', 'bin.js'), trainArguments, { cwd: folder });
  if (!ok) throw new Error(`the training run ended with ${status}; see above`);
  return (performance.now() - start) / 1000;
}

function report(seconds) {
  const batches = readFileSync(join(folder, 'output', 'my_lora.log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'batch');
  const lastEpoch = Math.max(...batches.map(({ epoch }) => epoch));
  const loss = (wanted) => {
    const losses = batches.filter(({ epoch }) => epoch === wanted).map((batch) => batch['loss/current']);
    return (losses.reduce((sum, value) => sum + value, 0) / losses.length).toFixed(3);
  };
  const { step } = batches.at(-1);
  console.log(`
Trained ${step} steps (${batches.length} batches, ${lastEpoch} epochs) in ${seconds.toFixed(1)} s.
What:  a LoRA of rank 4 for a Wan model of 2 small blocks with random weights, on 12 cached pictures
Loss:  ${loss(1)} on average in epoch 1, ${loss(lastEpoch)} in epoch ${lastEpoch}
LoRA:  ${here('output', 'my_lora.safetensors')}
Log:   ${here('output', 'my_lora.log.jsonl')}, a line a batch

Files of musubi-tuner work the same: ${here('config.toml')} and ${here('dataset.toml')} are two of them.`);
}
