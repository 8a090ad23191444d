import { describe, expect, test } from 'vitest';

import { readLaunchLine } from './launch-line.ts';
import { splitCommandLine } from './split-command-line.ts';

const read = (text: string) => readLaunchLine(splitCommandLine(text));

describe('readLaunchLine', () => {
  test.each([
    ['train --seed 1', 'train', '--seed 1'],
    ['python wan_generate_video.py --fp8', 'wan_generate_video.py', '--fp8'],
    ['python3.11 -u src/m/wan_cache_latents.py --vae v', 'src/m/wan_cache_latents.py', '--vae v'],
    ['C:\\venv\\Scripts\\python.exe src\\m\\merge_lora.py --dit d', 'src\\m\\merge_lora.py', '--dit d'],
    ['python -m musubi_tuner.convert_lora --target other', 'convert_lora.py', '--target other'],
    ['uv run --extra cu128 python wan_cache_latents.py --vae v', 'wan_cache_latents.py', '--vae v'],
    ['uv run --extra cu124 wan_cache_latents.py --vae v', 'wan_cache_latents.py', '--vae v'],
    ['accelerate launch wan_train_network.py --seed 1', 'wan_train_network.py', '--seed 1'],
    [
      'accelerate launch --num_cpu_threads_per_process 1 --mixed_precision bf16 a/wan_train_network.py --seed 1',
      'a/wan_train_network.py',
      '--mixed_precision bf16 --seed 1',
    ],
    [
      'accelerate launch --mixed_precision=bf16 wan_train_network.py --mixed_precision fp16',
      'wan_train_network.py',
      '--mixed_precision fp16',
    ],
    ['accelerate launch --num-processes 1 -m musubi_tuner.hv_train_network --a', 'hv_train_network.py', '--a'],
    ['python -m accelerate.commands.launch --quiet hv_train.py --a', 'hv_train.py', '--a'],
    ['npx @musubi/cli accelerate launch hv_train.py --a', 'hv_train.py', '--a'],
  ])('%s', (text, command, argv) => {
    expect(read(text)).toEqual({ command, argv: argv.split(' '), notes: [] });
  });

  test.each([
    ['accelerate launch --gpu_ids 0 hv_train.py', 'gpu_ids: '],
    ['accelerate launch --config_file default.yaml hv_train.py', 'config_file: the file default.yaml'],
    ['accelerate launch --num_cpu_threads_per_process 8 hv_train.py', 'num_cpu_threads_per_process: '],
  ])('%s is answered', (text, note) => {
    expect(read(text)).toMatchObject({ argv: [], notes: [expect.stringContaining(note)] });
  });

  test.each([
    ['accelerate launch --num_processes 2 hv_train.py', '--num_processes 2: this release trains in one process.'],
    ['accelerate launch --num_machines=3 hv_train.py', '--num_machines 3: this release trains in one process.'],
    ['accelerate launch --mixed_precison bf16 hv_train.py', 'Did you mean "--mixed_precision"?'],
  ])('%s is refused', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test('continuations that a shell has left are harmless', () => {
    const words = ['python', '\\', 'wan_cache_latents.py', '\r\n', '--vae', '^', 'v', '`', '--i2v', '\\\n'];
    expect(readLaunchLine(words)).toEqual({
      command: 'wan_cache_latents.py',
      argv: ['--vae', 'v', '--i2v'],
      notes: [],
    });
  });

  test.each([[[]], [['python']], [['accelerate', 'launch']], [['uv', 'run']], [['npx', 'musubi']]])(
    '%j names no script',
    (words) => {
      expect(['uv', undefined]).toContain(readLaunchLine(words).command);
    },
  );
});

describe('splitCommandLine', () => {
  test.each([
    ['a  b\tc\nd', ['a', 'b', 'c', 'd']],
    ['a \\\n  b', ['a', 'b']],
    ['a ^\r\n  b', ['a', 'b']],
    ['a `\n  b', ['a', 'b']],
    [
      `--network_args "exclude_patterns=[r'.*blocks\\.[0-9]\\..*']"`,
      ['--network_args', "exclude_patterns=[r'.*blocks\\.[0-9]\\..*']"],
    ],
    ["'a b' \"c d\" ''", ['a b', 'c d', '']],
    ['a\\ b "c\\"d"', ['a b', 'c"d']],
    ['C:\\models\\dit.safetensors \\\\server\\share', ['C:\\models\\dit.safetensors', '\\\\server\\share']],
  ])('%j', (text, words) => {
    expect(splitCommandLine(text)).toEqual(words);
  });
});
