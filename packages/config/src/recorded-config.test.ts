import { expect, test } from 'vitest';

import { resolveOptions } from './resolve-options.ts';

const minimal =
  '--dataset_config /home/me/d.toml --dit C:\\models\\dit.safetensors --network_module networks.lora_wan --optimizer_type AdamW --output_dir out/ --output_name a';

async function recorded(options: readonly string[]) {
  const argv = [...minimal.split(' '), ...options];
  const { config } = await resolveOptions({ command: 'train', argv, readText: () => 'seed = 7\n' });
  return JSON.parse(config.recordedConfig) as Record<string, unknown>;
}

test('has every option that has a value, with its type', async () => {
  const options = ['--learning_rate', '1e-4', '--gradient_checkpointing', '--network_args', 'loraplus_lr_ratio=4'];
  expect(await recorded(options)).toMatchObject({
    learning_rate: 1e-4,
    gradient_checkpointing: true,
    max_train_steps: 1600,
    network_args: ['loraplus_lr_ratio=4'],
    optimizer_type: 'AdamW',
    no_metadata: false,
  });
});

test('has no option without a value, no secret, and not the configuration file', async () => {
  const found = await recorded(['--wandb_api_key', 'secret', '--config_file', 'private/c']);
  expect(found).toMatchObject({ seed: 7 });
  expect(found).not.toHaveProperty('vae');
  expect(JSON.stringify(found)).not.toMatch(/secret|wandb_api_key|private|config_file/);
});

test('has the last part of paths', async () => {
  const options = ['--base_weights', '/a/b.safetensors', 'c\\d.safetensors', '--model_config', '{"a": "b/c"}'];
  expect(await recorded(options)).toMatchObject({
    dataset_config: 'd.toml',
    dit: 'dit.safetensors',
    output_dir: 'out',
    base_weights: ['b.safetensors', 'd.safetensors'],
    model_config: '{"a": "b/c"}',
  });
});
