import { describe, expect, test } from 'vitest';

import { resolvedToml } from './resolved-toml.ts';
import { resolveOptions } from './resolve-options.ts';

const minimal =
  '--dataset_config d.toml --dit dit.safetensors --network_module networks.lora_wan --optimizer_type AdamW --output_dir out --output_name a';

const resolve = (argv: readonly string[], files: Record<string, string> = {}) =>
  resolveOptions({ command: 'train', argv, readText: (path) => files[path] ?? '' });

describe('resolvedToml', () => {
  test.each([
    [[]],
    [['--task', 't2v-1.3B', '--learning_rate', '1e-5', '--lr_warmup_steps', '10%', '--lr_decay_steps', '100%']],
    [
      [
        '--network_args',
        "exclude_patterns=[r'.*single_blocks.*', r'.*double_blocks\\.[0-9]\\..*']",
        'loraplus_lr_ratio=4',
      ],
    ],
    [['--optimizer_args', 'betas=(0.9,0.95)', '--training_comment', 'a "b" \\ c\u007f\tü', '--sdpa', '--compile']],
    [['--base_weights', 'a', 'b', '--base_weights_multiplier', '1', '0.5', '--metadata_title', '']],
    [['--network_args']],
  ])('of %j gives the same configuration', async (argv) => {
    const first = await resolve([...minimal.split(' '), ...argv]);
    const toml = resolvedToml(first.command, first.options);
    const again = await resolve(['--config_file', 'a'], { 'a.toml': toml });
    const path = { config_file: 'None' };
    expect({ ...again.config, metadataText: { ...again.config.metadataText, ...path } }).toEqual(first.config);
    expect(resolvedToml(again.command, again.options)).toBe(toml);
  });

  test('says where values come from, and no secret', async () => {
    const files = { 'c.toml': '# a comment\n[x]\nseed = 7\n' };
    const argv = [...minimal.split(' '), '--config_file', 'c', '--wandb_api_key', 'secret', '--network_dim', '16'];
    const found = await resolve(argv, files);
    const toml = resolvedToml(found.command, found.options, { origins: true });
    const lines = toml.split('\n');
    expect(lines).toContain('seed = 7 # c.toml, line 3');
    expect(lines).toContain('network_dim = 16 # command line');
    expect(lines).toContain('learning_rate = 2e-06 # default');
    expect(lines).toContain('# vae = # default');
    expect(toml).not.toContain('secret');
    expect(toml).not.toContain('wandb_api_key');
  });
});
