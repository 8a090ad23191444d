import { refused, type OptionSpec } from '../option-spec.ts';

const hv = ['hv_train_network', 'hv_train'];
const fullHv = ['hv_train'];
const hv15 = 'hv_1_5_train_network';
const framepack = 'fpack_train_network';
const kontext = 'flux_kontext_train_network';
const qwen = ['qwen_image_train_network', 'qwen_image_train'];

const other = refused('this model is not in this release');

/** Options of training models that this release does not have, so that a configuration written for them is checked as a whole. */
export const otherModelOptions: readonly OptionSpec[] = [
  {
    name: 'task',
    type: 'string',
    default: 't2v',
    choices: ['t2v', 'i2v'],
    scripts: [hv15],
    group: 'model',
    help: 'Model variant.',
    support: other,
  },
  text('dit_dtype', [...hv, hv15], 'Number type of the transformer.'),
  {
    name: 'dit_in_channels',
    type: 'int',
    default: 16,
    scripts: hv,
    group: 'model',
    help: 'Latent channels of the transformer input.',
    support: other,
  },
  flag('fp8_llm', [...hv, framepack], '8-bit weights for the language model.'),
  text('text_encoder', [hv15, ...qwen], 'Text encoder checkpoint.'),
  text('text_encoder1', [...hv, framepack, kontext], 'First text encoder.'),
  text('text_encoder2', [...hv, framepack, kontext], 'Second text encoder.'),
  text('text_encoder_dtype', hv, 'Number type of the text encoders.'),
  text('image_encoder', [hv15, framepack], 'Image encoder checkpoint.'),
  text('byt5', [hv15], 'Text encoder for glyphs.'),
  flag('fp8_vl', [hv15, ...qwen], '8-bit weights for the vision-language model.'),
  flag('vae_tiling', [...hv, framepack], 'Run the VAE in tiles.'),
  whole('vae_chunk_size', null, [...hv, framepack], 'Width of the strips in which the VAE computes.'),
  whole('vae_spatial_tile_sample_min_size', null, [...hv, framepack], 'Size of the tiles of the VAE.'),
  whole('vae_sample_size', 128, [hv15], 'Size of the tiles of the VAE.'),
  flag('vae_enable_patch_conv', [hv15], 'Convolutions of the VAE that save memory.'),
  whole('latent_window_size', 9, [framepack], 'Latent frames in one section.'),
  flag('bulk_decode', [framepack], 'Decode all sections together.'),
  flag('f1', [framepack], 'The forward-only variant of FramePack.'),
  whole('num_layers', null, qwen, 'Number of transformer layers.'),
  flag('remove_first_image_from_target', qwen, 'Leave the first layer image out of the target.'),
  flag('edit', qwen, 'Variant that edits a picture.'),
  flag('edit_plus', qwen, 'Variant that edits with several pictures.'),
  text('model_version', qwen, 'Model variant by name.'),
  flag('full_bf16', ['qwen_image_train', ...fullHv], 'Keep gradients in bfloat16.'),
  flag('full_fp16', fullHv, 'Keep gradients in float16.'),
  {
    name: 'trainable_modules',
    type: 'string',
    default: '.',
    nargs: '+',
    scripts: fullHv,
    group: 'model',
    help: 'Parts of the names of modules to train; a dot is in the name of all.',
    support: other,
  },
  {
    name: 'mixed_precision',
    type: 'string',
    default: 'no',
    choices: ['no', 'fp16', 'bf16'],
    scripts: fullHv,
    group: 'training',
    help: 'Number type of the computation.',
    support: other,
  },
  {
    name: 'timestep_sampling',
    type: 'string',
    default: 'sigma',
    choices: ['sigma', 'uniform', 'sigmoid', 'shift'],
    scripts: fullHv,
    group: 'timesteps',
    help: 'Distribution from which timesteps are drawn.',
    support: other,
  },
  flag('fused_backward_pass', ['qwen_image_train'], 'Update each parameter as soon as its gradient exists.'),
  flag('mem_eff_save', ['qwen_image_train'], 'Write the checkpoint tensor by tensor.'),
];

function text(name: string, scripts: readonly string[], help: string): OptionSpec {
  return { name, type: 'string', default: null, scripts, group: 'model', help, support: other };
}

function flag(name: string, scripts: readonly string[], help: string): OptionSpec {
  return { name, type: 'bool', default: false, scripts, group: 'model', help, support: other };
}

function whole(name: string, defaultValue: number | null, scripts: readonly string[], help: string): OptionSpec {
  return { name, type: 'int', default: defaultValue, scripts, group: 'model', help, support: other };
}
