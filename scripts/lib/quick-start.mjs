// The quick start's folder: everything a user brings along. Needs an installation and a build.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSamplePictures } from './sample-pictures.mjs';
import { smallTokenizer } from './small-tokenizer.mjs';
import { writeTinyModels } from './tiny-models.mjs';

const dataset = `[general]
resolution = [128, 128]
caption_extension = ".txt"
enable_bucket = true
batch_size = 2

[[datasets]]
image_directory = "images"
cache_directory = "cache"
`;

const config = `task = "t2v-1.3B"
dit = "wan.safetensors"
dataset_config = "dataset.toml"
network_module = "networks.lora_wan"
network_dim = 8
network_alpha = 8
optimizer_type = "AdamW"
learning_rate = 3e-3
lr_scheduler = "cosine"
lr_warmup_steps = 5
timestep_sampling = "shift"
discrete_flow_shift = 3.0
max_train_steps = 100
seed = 42
output_dir = "output"
output_name = "my_lora"
`;

/**
 * Writes captioned pictures, a tokenizer, small models with random weights and both configurations into `folder`; removes what
 * a run before has made there.
 *
 * @param load imports an entry of a package, by default as it is built
 * @returns {Promise<{ file: string, caption: string }[]>} the pictures
 */
export async function writeQuickStart(folder, load) {
  for (const name of ['images', 'cache', 'output', 'tokenizer']) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
  mkdirSync(join(folder, 'images'), { recursive: true });
  mkdirSync(join(folder, 'tokenizer'));
  const pictures = await writeSamplePictures(join(folder, 'images'));
  const { tokenizerJson, tokenizerConfig } = smallTokenizer(pictures.map(({ caption }) => caption));
  writeFileSync(join(folder, 'tokenizer', 'tokenizer.json'), JSON.stringify(tokenizerJson));
  writeFileSync(join(folder, 'tokenizer', 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
  await writeTinyModels(folder, tokenizerJson.model.vocab.length, load);
  writeFileSync(join(folder, 'dataset.toml'), dataset);
  writeFileSync(join(folder, 'config.toml'), config);
  return pictures;
}
