import { describe, expect, test } from 'vitest';

import { findCommand, optionsOf } from './commands.ts';
import { ConfigError } from './errors.ts';
import type { OptionSpec } from './option-spec.ts';
import { resolveCommand, resolveOptions, type ResolvedOptions } from './resolve-options.ts';
import { countSteps, type TrainConfig } from './train-config.ts';

const minimal = {
  dataset_config: 'dataset.toml',
  dit: 'dit.safetensors',
  network_module: 'networks.lora_wan',
  optimizer_type: 'AdamW',
  output_dir: 'out',
  output_name: 'my_lora',
};
const minimalArgv = Object.entries(minimal).flatMap(([name, value]) => [`--${name}`, value]);
const minimalToml = Object.entries(minimal)
  .map(([name, value]) => `${name} = "${value}"`)
  .join('\n');

function resolve(argv: string[], files: Record<string, string> = {}): Promise<ResolvedOptions> {
  return resolveOptions({
    command: 'train',
    argv,
    readText: async (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
      return text;
    },
  });
}

async function failure(argv: string[], files?: Record<string, string>): Promise<ConfigError> {
  const caught: unknown = await resolve(argv, files).catch((error: unknown) => error);
  if (!(caught instanceof ConfigError)) throw new Error(`expected a ConfigError, got ${String(caught)}`);
  return caught;
}

async function message(argv: string[], toml?: string): Promise<string> {
  const file = toml === undefined ? [] : ['--config_file', 'c.toml'];
  return (await failure([...file, ...argv], { 'c.toml': `${minimalToml}\n${toml}` })).message;
}

function example({ type }: OptionSpec): string[] {
  if (type === 'bool') return [];
  return type === 'string' || type === 'path' ? ['other'] : ['3'];
}

const command = findCommand('train');
const specs = command ? optionsOf(command) : [];

describe('every option that works', () => {
  const values: Record<string, string[]> = {
    config_file: [],
    architecture: [],
    task: ['t2v-A14B'],
    model_config: ['{"num_heads": 12}'],
    network_module: ['musubi_tuner.networks.lora_wan'],
    network_dropout: ['0.5'],
    network_args: ["exclude_patterns=[r'.*']"],
    optimizer_args: ['weight_decay=0.5'],
    lr_scheduler_args: ['a=1'],
    base_weights: ['a.safetensors'],
    base_weights_multiplier: ['0.5', '--base_weights', 'a.safetensors'],
    dim_from_weights: ['--network_weights', 'a.safetensors'],
    lr_scheduler_min_lr_ratio: ['0.5'],
    device: ['webgpu'],
    mixed_precision: ['bf16'],
    save_precision: ['bf16'],
    timestep_sampling: ['shift'],
    qinglong_preset: ['musubi-0.3.4'],
    qinglong_ratios: ['20', '30', '50'],
    show_timesteps: ['image'],
    show_lr_schedule: ['image'],
    weighting_scheme: ['mode'],
    attn_mode: ['chunked'],
    fp8_format: ['e5m2'],
    fp8_quant_mode: ['channel'],
    metadata_reso: ['640,384'],
    log_with: ['wandb'],
  };
  const eightBit = Object.fromEntries(
    specs.flatMap(({ name }) => (/^(?:fp8|int8)_(?!t5)/.test(name) ? [[name, 'eightBitBase']] : [])),
  );
  const fieldOf: Record<string, string> = {
    network_args: 'excludePatterns',
    base_weights_multiplier: 'baseWeights',
    attn_mode: 'attention',
    attn_chunk: 'attention',
    ...eightBit,
  };
  /** Options without which it changes nothing. */
  const others: Record<string, string[]> = {
    base_weights_multiplier: ['--base_weights', 'a.safetensors'],
    fp8_scaled: ['--fp8_base'],
    fp8_format: ['--fp8_base'],
    fp8_quant_mode: ['--fp8_base', '--fp8_scaled'],
    fp8_block_size: ['--fp8_base', '--fp8_scaled'],
    fp8_cache_dir: ['--int8_base'],
    gradient_checkpointing_every: ['--gradient_checkpointing'],
    dit_high_noise: ['--timestep_boundary', '900'],
    log_tracker_config: ['--log_with', 'wandb', '--wandb_run_name', 'mine'],
    wandb_run_name: ['--log_with', 'wandb'],
    wandb_api_key: ['--log_with', 'wandb'],
  };
  const working = specs.filter(({ name, support }) => support.state === 'works' && values[name]?.length !== 0);

  test.each(working.map((spec): [string, OptionSpec] => [spec.name, spec]))(
    '%s changes its field',
    async (name, spec) => {
      const argv = [...minimalArgv, ...(others[name] ?? [])];
      const before = await resolve(argv);
      const after = await resolve([...argv, `--${name}`, ...(values[name] ?? example(spec))], { other: '' });

      const isLogging = spec.group === 'logging';
      const field = isLogging
        ? 'logging'
        : (fieldOf[name] ?? name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase()));
      expect(before.config).toHaveProperty(field);
      expect(after.config[field as keyof TrainConfig]).not.toEqual(before.config[field as keyof TrainConfig]);
      if (spec.isSecret) expect(Object.keys(after.config.metadataText)).not.toContain(name);
      else expect(after.config.metadataText[name]).not.toBe(before.config.metadataText[name]);
      expect(after.origins.get(name)).toEqual({ source: 'command line' });
    },
  );
});

describe('every option that is refused', () => {
  const refused = specs.filter(({ support }) => support.state === 'refused');

  test.each(refused.map((spec): [string, OptionSpec] => [spec.name, spec]))(
    '%s is refused by name',
    async (name, spec) => {
      const value = spec.type === 'bool' ? [] : [spec.choices?.[0] ?? '7'];
      const error = await failure([...minimalArgv, `--${name}`, ...value]);
      expect(error).toMatchObject({ code: 'NOT_IN_THIS_RELEASE', option: name, remedy: `Remove ${name}.` });
    },
  );
});

describe('every option that is accepted without effect', () => {
  const accepted = specs.filter(({ support }) => support.state === 'accepted');

  test.each(accepted.map((spec): [string, OptionSpec] => [spec.name, spec]))('%s is answered', async (name, spec) => {
    const value =
      spec.type === 'bool' ? [] : [spec.choices?.find((choice) => choice !== spec.default && choice !== 'no') ?? '7'];
    const { answers } = await resolve([...minimalArgv, `--${name}`, ...value]);
    expect(answers).toEqual([expect.stringMatching(new RegExp(`^${name}: .+`))]);
  });

  test('options with the same answer share a line', async () => {
    const { answers } = await resolve([...minimalArgv, '--sdpa', '--xformers', '--mixed_precision', 'no']);
    expect(answers).toEqual([
      'sdpa, xformers: attention is part of the model graph and always exact; no library is chosen',
    ]);
  });
});

describe('values', () => {
  test('keep whole numbers whole and floats floats in the metadata', async () => {
    const toml = `${minimalToml}\nnetwork_alpha = 2\nlearning_rate = "1e-5"\nmax_grad_norm = 1.0`;
    const { config } = await resolve(['--config_file', 'c'], { 'c.toml': toml });
    expect(config.metadataText).toMatchObject({
      network_alpha: '2',
      learning_rate: '1e-05',
      max_grad_norm: '1.0',
      seed: 'None',
    });
    expect(config).toMatchObject({ networkAlpha: 2, learningRate: 1e-5, maxGradNorm: 1 });

    const typed = await resolve(['--config_file', 'c', '--network_alpha', '2'], { 'c.toml': toml });
    expect(typed.config.metadataText['network_alpha']).toBe('2.0');
    const absent = await resolve(minimalArgv);
    expect(absent.config.metadataText['network_alpha']).toBe('1');
  });

  test('tell where they come from', async () => {
    const toml = `${minimalToml}\n[a]\nseed = 1\n\nnetwork_dim = 8\n`;
    const { origins, config } = await resolve(['--config_file', 'c.toml', '--seed', '2'], { 'c.toml': toml });
    expect(config).toMatchObject({ seed: 2, networkDim: 8 });
    expect(origins.get('seed')).toEqual({ source: 'command line' });
    expect(origins.get('network_dim')).toEqual({ source: 'file', file: 'c.toml', section: 'a', line: 10 });
    expect(origins.get('learning_rate')).toEqual({ source: 'default' });
  });

  test.each<[string, string, object, number]>([
    ['lr_warmup_steps = 20', '20', { steps: 20 }, 20],
    ['lr_warmup_steps = 0.15', '0.15', { share: 0.15 }, 15],
    ['lr_warmup_steps = "10%"', '0.1', { share: 0.1 }, 10],
    ['lr_warmup_steps = "100%"', '1.0', { share: 1 }, 100],
    ['lr_warmup_steps = 4.0', '4', { steps: 4 }, 4],
    ['lr_warmup_steps = 0', '0', { steps: 0 }, 0],
    ['lr_warmup_steps = 0.0', '0.0', { steps: 0 }, 0],
  ])('%s', async (line, text, count, steps) => {
    const { config } = await resolve(['--config_file', 'c'], { 'c.toml': `${minimalToml}\n${line}` });
    expect(config.lrWarmupSteps).toEqual(count);
    expect(countSteps(config.lrWarmupSteps, 100)).toBe(steps);
    expect(config.metadataText['lr_warmup_steps']).toBe(text);
  });

  test('read key=value arguments', async () => {
    const { config } = await resolve([
      ...minimalArgv,
      '--optimizer_args',
      'weight_decay=0.1',
      'betas=0.9,0.95',
      'fused=True',
      '--network_args',
      "exclude_patterns=[r'.*ffn.*']",
      "include_patterns=['.*\\.0']",
      '--base_weights',
      'a.safetensors',
      'b.safetensors',
      '--base_weights_multiplier',
      '0.5',
    ]);
    expect(config.optimizerArgs).toEqual({ weight_decay: 0.1, betas: [0.9, 0.95], fused: true });
    expect(config.metadataText['optimizer_args']).toBe('weight_decay=0.1,betas=(0.9, 0.95),fused=True');
    expect(config.networkArgs).toEqual({ exclude_patterns: "[r'.*ffn.*']", include_patterns: "['.*\\.0']" });
    expect(config.excludePatterns).toEqual(['.*ffn.*']);
    expect(config.includePatterns).toEqual(['.*\\.0']);
    expect(config.baseWeights).toEqual([
      { path: 'a.safetensors', multiplier: 0.5 },
      { path: 'b.safetensors', multiplier: 1 },
    ]);
  });

  test('read model_config from a file or as JSON', async () => {
    const inline = await resolve([...minimalArgv, '--model_config', '{"num_heads": 2}']);
    const file = await resolve([...minimalArgv, '--model_config', 'm.json'], { 'm.json': '\uFEFF{"num_heads": 2}' });
    expect([inline.config.modelConfig, file.config.modelConfig]).toEqual([{ num_heads: 2 }, { num_heads: 2 }]);
  });

  test.each([
    ['float', 'fp32'],
    ['fp32', 'fp32'],
    ['fp16', 'fp16'],
    ['bf16', 'bf16'],
  ])('save_precision %s is %s', async (written, precision) => {
    expect((await resolve([...minimalArgv, '--save_precision', written])).config.savePrecision).toBe(precision);
  });
});

describe('commands', () => {
  test.each([
    'train',
    'wan_train_network',
    'wan_train_network.py',
    'src/musubi_tuner/wan_train_network.py',
    'C:\\m\\wan_train_network.py',
  ])('%s trains', async (written) => {
    const resolved = await resolveOptions({ command: written, argv: minimalArgv, readText: () => '' });
    expect(resolved.command.name).toBe('train');
  });

  test.each([
    ['trian', 'UNKNOWN_COMMAND', 'train'],
    ['bake', 'UNKNOWN_COMMAND', undefined],
  ])('%s is refused', async (written, code, nearest) => {
    const error: unknown = await resolveOptions({ command: written, argv: [], readText: () => '' }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ name: 'ConfigError', code, nearest });
  });
});

async function problemsOf(written: string, argv: string[]): Promise<unknown> {
  const error: unknown = await resolveCommand({ command: written, argv, readText: () => '' }).catch(
    (caught: unknown) => caught,
  );
  return error instanceof ConfigError ? error.problems.map(({ code, option }) => [code, option]) : error;
}

describe('an option without effect on the weights', () => {
  test.each([
    [['--fp8_format', 'e5m2'], 'fp8_format e5m2: it has no effect without fp8_base.'],
    [['--int8_base', '--fp8_format', 'e5m2'], 'fp8_format e5m2: it has no effect without fp8_base.'],
    [['--int8_base', '--fp8_quant_mode', 'tensor'], 'fp8_quant_mode tensor: it has no effect without fp8_scaled.'],
    [['--fp8_base', '--fp8_block_size', '32'], 'fp8_block_size 32: it has no effect without fp8_scaled.'],
    [
      ['--fp8_base', '--fp8_scaled', '--fp8_quant_mode', 'channel', '--fp8_block_size', '32'],
      'fp8_block_size 32: it has no effect, as only fp8_quant_mode = "block" has blocks.',
    ],
    [['--fp8_cache_dir', 'c'], 'fp8_cache_dir c: it has no effect without fp8_base or int8_base.'],
    [['--attn_mode', 'whole', '--attn_chunk', '8'], 'attn_chunk 8: it has no effect, as attn_mode = "whole"'],
  ])('%j is told', async (argv, line) => {
    const { answers } = await resolve([...minimalArgv, ...argv]);
    expect(answers).toEqual([expect.stringContaining(line)]);
  });

  test('makes no other file of 8-bit weights', async () => {
    for (const base of ['--int8_base', '--fp8_base']) {
      const plain = await resolve([...minimalArgv, base]);
      const more = await resolve([...minimalArgv, base, '--fp8_quant_mode', 'tensor', '--fp8_block_size', '32']);
      expect(more.config.eightBitBase).toEqual(plain.config.eightBitBase);
    }
  });

  test.each([
    ['--int8_base', '--fp8_cache_dir', 'c'],
    ['--fp8_base', '--fp8_format', 'e5m2'],
    ['--fp8_base', '--fp8_scaled', '--fp8_block_size', '32'],
    ['--attn_mode', 'chunked', '--attn_chunk', '8'],
  ])('%s %s %s is none', async (...argv) => {
    expect((await resolve([...minimalArgv, ...argv])).answers).toEqual([]);
  });
});

test('a shortened option counts, and is told', async () => {
  const { config, answers } = await resolve([...minimalArgv, '--learning_r', '1e-3']);
  expect(config.learningRate).toBe(1e-3);
  expect(answers).toEqual(['--learning_r is taken for --learning_rate; write the whole name']);
});

describe('commands that are not in this release', () => {
  const model = ['--dataset_config', 'd.toml', '--dit', 'dit.safetensors'];

  test.each([
    ['fpack_train_network.py', model],
    ['train', ['--architecture', 'fpack', ...model]],
    ['cache_latents.py', ['--dataset_config', 'd.toml', '--vae', 'vae.safetensors', '--vae_tiling']],
    ['cache_latents', ['--architecture=hv', '--dataset_config', 'd.toml', '--vae', 'vae.safetensors']],
    ['wan_generate_video', ['--prompt', 'a cat', '--save_path', 'out', '--video_size', '480', '832']],
    ['hv_1_5_generate_video', ['--whatever']],
    ['hv_train.py', [...model, '--trainable_modules', 'a', 'b']],
  ])('%s %j say so and nothing else', async (written, argv) => {
    expect(await problemsOf(written, argv)).toEqual([['NOT_IN_THIS_RELEASE', undefined]]);
  });

  test.each([
    ['fpack_train_network', [...model, '--vae_dtype', 'bfloat16'], 'BAD_COMBINATION', 'vae_dtype'],
    ['fpack_train_network', ['--dit', 'd.safetensors'], 'MISSING_OPTION', 'dataset_config'],
    ['hv_train_network', [...model, '--fp8_scaled'], 'UNKNOWN_OPTION', 'fp8_scaled'],
    ['qwen_image_train_network', [...model, '--fp8_scaled'], 'BAD_COMBINATION', 'fp8_scaled'],
    ['qwen_image_train_network', [...model, '--sage_attn'], 'BAD_COMBINATION', 'sage_attn'],
    ['wan_generate_video', ['--save_path', 'o'], 'MISSING_OPTION', 'prompt'],
    ['generate', ['--save_path', 'o', '--prompt', 'p', '--video_size', '480', '830'], 'BAD_COMBINATION', 'video_size'],
    ['generate', ['--save_path', 'o', '--prompt', 'p', '--video_size', '480'], 'WRONG_TYPE', 'video_size'],
    ['generate', ['--save_path', 'o', '--interactive', '--from_file', 'p'], 'BAD_COMBINATION', 'from_file'],
  ])('%s %j is checked all the same', async (written, argv, code, option) => {
    expect(await problemsOf(written, argv)).toEqual([
      ['NOT_IN_THIS_RELEASE', undefined],
      [code, option],
    ]);
  });

  test('a script is for one model', async () => {
    expect(await problemsOf('wan_train_network', ['--architecture', 'hv'])).toEqual([
      ['BAD_COMBINATION', 'architecture'],
    ]);
  });
});

describe('mistakes', () => {
  test('are reported together, each with its place and remedy', async () => {
    const error = await failure(['--config_file', 'config', '--learnig_rate', '1e-4', '--blocks', '--seed=abc'], {
      'config.toml':
        '[model]\ntask = "t2v-1.3b"\nsage_attn = true\n[optimizer]\noptimizer-type = "AdamW"\nlearning_rate = true\n',
    });
    expect(error.message).toMatchInlineSnapshot(`
      "--learnig_rate is not an option of train. Did you mean "--learning_rate"?
      --blocks_to_swap has no value. Write --blocks_to_swap BLOCKS_TO_SWAP; a value that starts with a dash as --blocks_to_swap=-value.
      config.toml, line 2: task = "t2v-1.3b": expected one of t2v-14B, t2v-1.3B, i2v-14B, t2i-14B, flf2v-14B, t2v-1.3B-FC, t2v-14B-FC, i2v-14B-FC, i2v-A14B, t2v-A14B. Did you mean "t2v-1.3B"?
      config.toml, line 5: optimizer-type in [optimizer] is not an option of train. Did you mean "optimizer_type"?
      config.toml, line 6: learning_rate = true: expected a number. Correct or remove it; the default is 2e-06.
      --seed abc: expected a whole number. Correct or remove it.
      config.toml, line 3: sage_attn = true: SageAttention has no backward pass, so it cannot train; use sdpa or none. Remove sage_attn.
      dataset_config is missing. Write dataset_config = "dataset.toml".
      dit is missing. Write dit = "wan2.1_t2v_1.3B_bf16.safetensors", the file of the transformer.
      network_module is missing. Write network_module = "networks.lora_wan".
      optimizer_type is missing. Write optimizer_type = "AdamW".
      output_dir is missing. Write output_dir = "output".
      output_name is missing. Write output_name = "my_lora"."
    `);
    expect(error.code).toBe('CONFIG_PROBLEMS');
    expect(error.problems[2]).toMatchObject({
      option: 'task',
      file: 'config.toml',
      section: 'model',
      line: 2,
      nearest: 't2v-1.3B',
    });
  });

  test.each([
    ['lr_warmup_steps = 2.5'],
    ['lr_warmup_steps = -3'],
    ['seed = -1'],
    ['seed = 4294967296'],
    ['max_train_steps = 100.0'],
    ['max_train_steps = "100"'],
    ['learning_rate = 0'],
    ['learning_rate = inf'],
    ['learning_rate = "fast"'],
    ['learning_rate = 1979-05-27'],
    ['metadata_title = 7'],
    ['sdpa = "True" # on'],
    ['sdpa = 1'],
    ['network_dim = "abc"'],
    ['optimizer_args = [\n  "a=(1", # open\n]'],
    ['network_args = "a=1"'],
    ['network_args = [1]'],
    ['network_args = ["conv_dim=0"]'],
    ['network_args = ["loraplus_lr_ratio=-4"]'],
    ['network_args = ["rank_dropout=1"]'],
    ['network_args = ["factor=4"]'],
    ['network_module = "networks.lokr"\nnetwork_args = ["factor=0"]'],
    ['network_dropout = 1.0'],
    ['network_args = ["exclude_pattern=[]"]'],
    ['network_args = ["exclude_patterns=.*"]'],
    ['network_args = ["exclude_patterns=[1]"]'],
    ['optimizer_args = ["foo=bar"]'],
    ['optimizer_args = ["foo"]'],
    ['optimizer_args = ["a=1", "a=2"]'],
    ['base_weights_multiplier = [1]'],
    ['min_timestep = 900\nmax_timestep = 100'],
    ['metadata_reso = "640x384"'],
    ['model_config = "[1]"'],
    ['model_config = "absent.json"'],
    ['dim_from_weights = true'],
    ['task = "i2v-A14B"'],
    ['timestep_sampling = "logsnrr"'],
    ['f1 = true'],
    ['[x]\n[x.network]\nnetwork_dim = 1'],
    ['[x]\nseed = 1\n[y]\nseed = 2'],
    ['seed = '],
    [String.raw`vae = "C:\models\vae.safetensors"`],
  ])('%j', async (toml) => {
    expect(await message([], toml)).toMatchSnapshot();
  });

  test.each([
    [['--network_', '3']],
    [['--network_module', 'networks.loho']],
    [['--output_name', 'a/b']],
    [['--base_weights_multiplier', '1', 'x']],
    [['--f1']],
    [['--learning_rate', 'nan']],
    [['--network_dim', '0']],
  ])('%j', async (argv) => {
    expect(await message([...minimalArgv, ...argv])).toMatchSnapshot();
  });

  test('do not show secrets', async () => {
    expect(await message([...minimalArgv, '--huggingface_token', 'hf_secret'])).not.toContain('hf_secret');
    expect(await message([], 'wandb_api_key = "secret"\nwandb_api_key = "secret"')).not.toContain('secret');
    expect(await message([], 'wandb_api_key = ["secret"]')).not.toContain('secret');
  });

  test('say what is wrong with JSON', async () => {
    const error = await failure([...minimalArgv, '--model_config', '{1}']);
    expect(error).toMatchObject({ code: 'BAD_VALUE', option: 'model_config', value: '{1}' });
    expect(error.message).toContain('--model_config {1}: not valid JSON: ');
  });

  test('names a configuration file that is not there', async () => {
    const error = await failure(['--config_file', 'sub/my']);
    expect(error).toMatchObject({ code: 'CONFIG_FILE_NOT_FOUND', file: 'sub/my.toml', option: 'config_file' });
    expect(error.message).toContain('sub/my.toml does not exist');
  });

  test('keeps the cause of a file that cannot be read', async () => {
    const cause = new Error('permission denied');
    const request = { command: 'train', argv: ['--config_file', 'c'], readText: () => Promise.reject(cause) };
    await expect(resolveOptions(request)).rejects.toMatchObject({ code: 'CONFIG_FILE_UNREADABLE', cause });
  });

  test('says once that a file names a configuration file', async () => {
    const { answers } = await resolve(['--config_file', 'c'], {
      'c.toml': `${minimalToml}\nconfig_file = "other.toml"`,
    });
    expect(answers).toEqual(['config_file inside a configuration file is ignored: one file is read']);
  });
});
