/** What stands behind `musubi` in the three stages of the quick start. */
export const quickStartCommands = {
  latents: ['cache_latents', '--architecture', 'wan', '--dataset_config', 'dataset.toml', '--vae', 'vae.safetensors'],
  texts: [
    'cache_text_encoder_outputs',
    '--architecture',
    'wan',
    '--dataset_config',
    'dataset.toml',
    '--t5',
    'umt5.safetensors',
    '--tokenizer',
    'tokenizer',
  ],
  training: ['train', '--config_file', 'config.toml'],
};
