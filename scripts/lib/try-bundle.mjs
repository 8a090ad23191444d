// The bundle for machines without internet, made of an installed project, unpacked and used as on one.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeParts } from '../../tools/offline-bundle/parts.mjs';
import { completeBundle, whyNodeIsUnfit } from '../../tools/offline-bundle/stage.mjs';
import { bareEnvironment } from './bare-environment.mjs';
import { quickStartCommands } from './quick-start-commands.mjs';
import { writeQuickStart } from './quick-start.mjs';

/**
 * Says why not where this machine or its Node.js cannot make one. Without CUDA, which is a download of 290 MB.
 *
 * @param project is changed
 * @param folder an empty one
 */
export async function tryBundle(project, folder, holds) {
  const unfit = whyNodeIsUnfit();
  if (unfit !== null) {
    console.log(`  no bundle is tried: ${unfit}`);
    return;
  }
  mkdirSync(folder);
  await completeBundle(project);
  const { parts } = await writeParts(project, join(folder, 'parts'), { partBytes: 16e6 });
  holds('the bundle has one part', parts.length > 1);

  const bare = bareEnvironment(join(folder, 'bin'));
  if (!bare.isWithoutNetwork) console.log('  the bundle is tried with a network, as this system gives no other');
  const run = (program, args, options = {}) => {
    const { ok, output } = bare.run(program, args, { cwd: folder, ...options });
    holds(`${[program, ...args].join(' ')} fails in a bare environment\n${output}`, ok);
    return output;
  };
  run('sh', ['parts/unpack.sh', 'unpacked']);
  const musubi = join(folder, 'unpacked', 'musubi');
  const version = run(musubi, ['--version']).trim();
  holds(`musubi --version of the bundle prints ${version}`, /^\d+\.\d+\.\d+$/.test(version));
  const doctor = run(musubi, ['doctor']);
  holds(`musubi doctor of the bundle says\n${doctor}`, doctor.includes('Training on the CPU works.'));

  const cwd = join(folder, 'quickstart');
  await writeQuickStart(cwd);
  const { latents, texts, training } = quickStartCommands;
  for (const args of [latents, texts, [...training, '--max_train_steps', '2']]) run(musubi, args, { cwd });
  holds('the bundle leaves no output/my_lora.safetensors', existsSync(join(cwd, 'output', 'my_lora.safetensors')));

  const bench = ['--device', 'cpu', '--json', join(folder, 'gpu.json'), 'golden_float32', 'step_int8'];
  run(join(folder, 'unpacked', 'bench', 'gpu.sh'), bench, { env: { MUSUBI_BENCH_SMALL: '1' } });
  const figures = JSON.parse(readFileSync(join(folder, 'gpu.json'), 'utf8'));
  holds(`bench/gpu.sh finds ${figures.golden_float32_loss_error}`, figures.golden_float32_loss_error < 1e-6);
  holds(`bench/gpu.sh finds ${figures.int8_to_float32_64}`, figures.int8_to_float32_64 > 0);
}
