import type { TrainConfig } from '@musubi/config';

import { resolveOptions } from '@musubi/config';

const required = {
  dataset_config: 'dataset.toml',
  dit: 'dit.safetensors',
  network_module: 'networks.lora_wan',
  optimizer_type: 'AdamW',
  output_dir: 'output',
  output_name: 'my_lora',
};

const noFiles = () => Promise.reject(new Error('no files'));

/** A configuration from command line options beside the required ones; a text is split at its spaces. */
export async function makeConfig(options: string | readonly string[] = []): Promise<TrainConfig> {
  const given = typeof options === 'string' ? options.split(' ').filter((word) => word !== '') : options;
  const missing = Object.entries(required).filter(([name]) => !given.includes(`--${name}`));
  const argv = [...missing.flatMap(([name, value]) => [`--${name}`, value]), ...given];
  const { config } = await resolveOptions({ command: 'train', argv, readText: noFiles });
  return config;
}
