import { refused, type OptionSpec } from '../option-spec.ts';
import { shortForms } from './short-forms.ts';

const hv = 'cache_latents';
const hvText = 'cache_text_encoder_outputs';
const framepack = 'fpack_cache_latents';
const framepackText = 'fpack_cache_text_encoder_outputs';
const kontext = 'flux_kontext_cache_latents';
const kontextText = 'flux_kontext_cache_text_encoder_outputs';
const qwen = 'qwen_image_cache_latents';
const qwenText = 'qwen_image_cache_text_encoder_outputs';

const { text, flag, whole } = shortForms('model', refused('caches of this model are not in this release'));
const needed = { isRequired: true, isBasic: true } as const;

/** Options of making caches for models that this release does not have. */
export const otherCacheOptions: readonly OptionSpec[] = [
  text('text_encoder', [qwenText], 'Qwen2.5-VL text encoder checkpoint.', needed),
  text('text_encoder1', [hvText, framepackText], 'Llama text encoder: a file or a folder.', needed),
  text('text_encoder1', [kontextText], 'T5 text encoder checkpoint.', needed),
  text('text_encoder2', [hvText, framepackText, kontextText], 'CLIP text encoder: a file or a folder.', needed),
  text('text_encoder_dtype', [hvText], 'Number type of the text encoders.'),
  text('image_encoder', [framepack], 'SigLIP image encoder: a file or a folder.', needed),
  flag('fp8_llm', [hvText, framepackText], '8-bit weights for the language model.'),
  flag('fp8_t5', [kontextText], '8-bit weights for the T5 text encoder.'),
  flag('fp8_vl', [qwenText], '8-bit weights for the vision-language model.'),
  flag('vae_tiling', [hv, framepack, kontext, qwen], 'Run the VAE in tiles.'),
  whole('vae_chunk_size', [hv, framepack, kontext, qwen], 'Frames the VAE takes at once.'),
  whole(
    'vae_spatial_tile_sample_min_size',
    [hv, framepack, kontext, qwen],
    'Size of the tiles of the VAE; switches them on.',
  ),
  flag('f1', [framepack], 'Cache for the forward-only variant of FramePack.'),
  flag('one_frame', [framepack], 'Make caches for one-frame training.'),
  flag('one_frame_no_2x', [framepack], 'Without the context at half the rate.', { dependsOn: ['one_frame'] }),
  flag('one_frame_no_4x', [framepack], 'Without the context at a quarter of the rate.', { dependsOn: ['one_frame'] }),
  flag('edit', [qwen, qwenText], 'Variant that edits a picture.'),
  flag('edit_plus', [qwen, qwenText], 'Variant that edits with several pictures.'),
  text('model_version', [qwen, qwenText], 'Model variant: original, edit, edit-2509, edit-2511 or layered.'),
];
