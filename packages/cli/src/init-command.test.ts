import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveOptions } from '@musubi/config';
import { parseDatasetConfig, readDatasetConfig } from '@musubi/dataset';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { initCommand } from './init-command.ts';

let before = '';
let folder = '';
beforeEach(() => {
  before = process.cwd();
  folder = mkdtempSync(join(tmpdir(), 'musubi-init-'));
  process.chdir(folder);
  mkdirSync('images');
  for (const name of ['cat.png', 'cat.txt', 'dog.jpg', 'bird.webp']) writeFileSync(join('images', name), '');
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true, force: true });
});

/** @param answers what somebody types; null ends the input, and without answers there is no terminal */
async function init(argv: readonly string[], answers: (string | null)[] | null = null) {
  let [stdout, stderr] = ['', ''];
  const questions: string[] = [];
  const context = {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stderr += text) },
  } as unknown as Parameters<typeof initCommand>[1];
  const asker = answers && {
    ask: async (question: string) => {
      questions.push(question);
      return answers.shift() ?? null;
    },
    close: () => {},
  };
  const exitCode = await initCommand(argv, context, () => asker);
  return { exitCode, stdout, stderr, questions };
}

const needed = ['--dit', 'wan2.1_t2v_1.3B_bf16.safetensors', '--images', 'images'];

test('writes both files with a comment at each value, and looks at the pictures', async () => {
  const { exitCode, stdout, stderr } = await init(needed);
  expect(exitCode).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "Wrote config.toml and dataset.toml. What comes next:
      musubi cache_latents --architecture wan --dataset_config dataset.toml --vae Wan2.1_VAE.pth
      musubi cache_text_encoder_outputs --architecture wan --dataset_config dataset.toml --t5 models_t5_umt5-xxl-enc-bf16.pth
      musubi validate --config_file config.toml
      musubi train --config_file config.toml
    "
  `);
  expect(stderr).toMatchInlineSnapshot(`
    "1 picture with a caption in images
    warning: 2 pictures without a caption NAME.txt: bird.webp, dog.jpg.
    "
  `);
  expect(readFileSync('config.toml', 'utf8')).toMatchInlineSnapshot(`
    "# Training of a LoRA for wan: musubi train --config_file config.toml
    # musubi train --help lists all options. What stands on the command line wins: --learning_rate 2e-4

    [model]
    # Model variant.
    task = "t2v-1.3B"
    # Transformer checkpoint: a .safetensors or .pth file, one of its shards, or its index file.
    dit = "wan2.1_t2v_1.3B_bf16.safetensors"

    [data]
    # TOML file that describes the datasets.
    dataset_config = "dataset.toml"

    [network]
    # Kind of adapter: networks.lora_wan, networks.loha or networks.lokr.
    network_module = "networks.lora_wan"
    # Rank of the adapter; 4 when absent.
    network_dim = 16
    # Adapter output is scaled by alpha divided by rank; 0 means alpha = rank.
    network_alpha = 8

    [optimizer]
    # Name of the optimizer, e.g. AdamW.
    optimizer_type = "AdamW"
    # Base learning rate.
    learning_rate = 1e-4
    # Name of the schedule, e.g. constant, constant_with_warmup, linear, cosine.
    lr_scheduler = "constant_with_warmup"
    # Length of the warm-up: a number of steps, or a share of all steps such as 0.1 or 10%.
    lr_warmup_steps = 0.05
    # Limit of the norm of all gradients together; 0 is no limit.
    max_grad_norm = 1.0

    [timesteps]
    # Distribution from which timesteps are drawn.
    timestep_sampling = "shift"
    # Shift towards noise of timestep_sampling = shift.
    discrete_flow_shift = 3.0

    [training]
    # Number of passes over the data; replaces max_train_steps.
    max_train_epochs = 16
    # Compute the activations of each block again in the backward pass: less memory, more time.
    gradient_checkpointing = true
    # Seed of everything random; drawn when absent.
    seed = 42

    [output]
    # Folder for results, made when needed.
    output_dir = "output"
    # Name of the result without its extension.
    output_name = "my_lora"
    # Save the adapter every N epochs.
    save_every_n_epochs = 1
    "
  `);
  expect(readFileSync('dataset.toml', 'utf8')).toMatchInlineSnapshot(`
    "# What is trained on. [general] holds for all datasets; add another [[datasets]] for each further folder.

    [general]
    # Width and height in pixels; one number means a square.
    resolution = [960, 544]
    # Extension of caption files, with its dot.
    caption_extension = ".txt"
    # Items the model sees at once.
    batch_size = 1
    # Group items by aspect ratio.
    enable_bucket = true
    # Images below the area of resolution keep their size.
    bucket_no_upscale = false

    [[datasets]]
    # Folder of images.
    image_directory = "images"
    # Folder of cache files, by default the image or video folder.
    cache_directory = "cache"
    # Times an item is entered into an epoch.
    num_repeats = 1
    "
  `);
  expect(readdirSync('.').toSorted()).toEqual(['config.toml', 'dataset.toml', 'images']);
});

const readText = async (path: string) => readFileSync(path, 'utf8');

test.each([
  [['--resolution', '512', '--network_dim=1']],
  [['--task', 't2v-14B', '--output_dir', 'C:\\Users\\me\\"my" LoRAs', '--output_name', '日本']],
  [['--cache_directory', 'some where/else', '--caption_extension', '.caption', '--max_train_epochs', '3']],
])('what it writes is a configuration: %j', async (more) => {
  await init([...needed, ...more]);
  const { config, answers } = await resolveOptions({ command: 'train', argv: ['--config_file', 'config'], readText });
  const [dataset] = readDatasetConfig(parseDatasetConfig(readFileSync('dataset.toml', 'utf8'), 'dataset.toml'), 'wan');
  expect(answers).toEqual([]);
  const given = Object.fromEntries(
    more.flatMap((token, i) =>
      token.startsWith('--') ? [token.includes('=') ? token.slice(2).split('=') : [token.slice(2), more[i + 1]]] : [],
    ),
  );
  if (given.output_dir)
    expect([config.task, config.outputDir, config.outputName]).toEqual(['t2v-14B', given.output_dir, '日本']);
  if (given.resolution)
    expect([dataset?.resolution, config.networkDim, config.networkAlpha]).toEqual([[512, 512], 1, 1]);
  if (given.cache_directory) {
    expect([dataset?.cacheDirectory, dataset?.captionExtension]).toEqual(['some where/else', '.caption']);
    expect(config.maxTrainEpochs).toBe(3);
  }
});

test.each([
  ['wan2.1_t2v_14B_bf16.safetensors', 't2v-14B'],
  ['wan2.2_t2v_low_noise_14B_fp16.safetensors', 't2v-A14B'],
  ['wan.safetensors', 't2v-1.3B'],
])('%s is %s', async (dit, task) => {
  await init(['--dit', dit, '--images', 'images']);
  expect(readFileSync('config.toml', 'utf8')).toContain(`task = "${task}"`);
});

test('asks in a terminal for what is not given, again after a wrong answer', async () => {
  const answers = ['hv', '', 'wan.safetensors', '', 'images', '512x512', '', '', 'out', 'cats'];
  const { exitCode, questions, stderr } = await init([], answers);
  expect(exitCode).toBe(0);
  expect(questions).toMatchInlineSnapshot(`
    [
      "Architecture [wan]: ",
      "Architecture [wan]: ",
      "Transformer checkpoint (.safetensors): ",
      "Task (t2v-14B, t2v-1.3B, t2i-14B, t2v-A14B) [t2v-1.3B]: ",
      "Folder of pictures: ",
      "Resolution, width and height in pixels [960,544]: ",
      "VAE checkpoint [Wan2.1_VAE.pth]: ",
      "Text encoder checkpoint [models_t5_umt5-xxl-enc-bf16.pth]: ",
      "Folder for the LoRA [output]: ",
      "Name of the LoRA [my_lora]: ",
    ]
  `);
  expect(stderr).toContain('hv is not built yet. This release has wan.\n');
  expect(readFileSync('dataset.toml', 'utf8')).toContain('resolution = [512, 512]');
  expect(readFileSync('config.toml', 'utf8')).toContain('output_name = "cats"');
});

test('writes nothing when the answers end', async () => {
  expect((await init([], ['wan', 'wan.safetensors', null])).exitCode).toBe(130);
  expect(readdirSync('.')).toEqual(['images']);
});

test('--yes asks nothing', async () => {
  expect((await init([...needed, '--yes'], [])).questions).toEqual([]);
});

test('writes over nothing without --force', async () => {
  writeFileSync('config.toml', 'mine');
  await expect(init(needed)).rejects.toThrow('config.toml is there already. Add --force to write anew');
  expect(readFileSync('config.toml', 'utf8')).toBe('mine');
  expect(readdirSync('.')).not.toContain('dataset.toml');
  await init([...needed, '--force']);
  expect(readFileSync('config.toml', 'utf8')).toContain('network_dim = 16');
  await init([...needed, '--config_file', 'other.toml', '--dataset_config', 'another.toml']);
  expect(readFileSync('other.toml', 'utf8')).toContain('dataset_config = "another.toml"');
});

test.each([
  [['--architecture', 'hv', ...needed], '--architecture: hv is not built yet. This release has wan.'],
  [['--architecture', 'sd', ...needed], '--architecture: "sd" is no architecture known here.'],
  [['--task', 'i2v-14B', ...needed], '--task: "i2v-14B" is no task of this release.'],
  [['--yes'], 'init lacks --dit and --images.'],
  [['--dti', 'x'], 'init has no --dti.'],
  [['--dit'], '--dit has no value.'],
  [['--config_file', 'config', ...needed], 'does not end with .toml'],
])('%j is refused', async (argv, message) => {
  await expect(init(argv)).rejects.toThrow(message);
  expect(readdirSync('.')).toEqual(['images']);
});

test('a folder without pictures, or none, is a warning', async () => {
  mkdirSync('empty');
  expect((await init([...needed.slice(0, 2), '--images', 'empty'])).stderr).toContain(
    'warning: there are no pictures in empty.',
  );
  expect((await init([...needed.slice(0, 2), '--images', 'none', '--force'])).stderr).toBe(
    'warning: the folder none does not exist yet.\n',
  );
});
