import { architectures } from '../architectures.ts';
import { refused, type OptionSpec } from '../option-spec.ts';
import { machineOptions } from './machine.ts';
import { wanTasks } from './model.ts';
import { alsoFor, shortForms } from './short-forms.ts';

const hv = 'hv_generate_video';
const wan = 'wan_generate_video';
const framepack = 'fpack_generate_video';
const kontext = 'flux_kontext_generate_image';
const qwen = 'qwen_image_generate_image';

const all = [hv, wan, framepack, kontext, qwen];
const videos = [hv, wan, framepack];
const pictures = [kontext, qwen];
const allButHv = [wan, framepack, kontext, qwen];

const later = refused('making pictures and videos is not in this release');

const model = shortForms('model', later);
const prompt = shortForms('prompt', later);
const inputs = shortForms('inputs', later);
const output = shortForms('output', later);
const sampling = shortForms('sampling', later);
const memory = shortForms('memory', later);
const network = shortForms('network', later);

/** Libraries of attention; here they are one. */
const attention = ['flash', 'torch', 'sageattn', 'xformers', 'sdpa'];
const wanAttention = ['flash', 'flash2', 'flash3', 'torch', 'sageattn', 'xformers', 'sdpa'];

const compiling = [
  'compile',
  'compile_backend',
  'compile_mode',
  'compile_dynamic',
  'compile_fullgraph',
  'compile_cache_size_limit',
];

/** Options of the commands that make pictures and videos. */
export const generationOptions: readonly OptionSpec[] = [
  model.text('architecture', all, 'Model that makes it, wan when absent.', { choices: architectures, isBasic: true }),
  model.text('dit', allButHv, 'Transformer checkpoint.', { isBasic: true }),
  model.text('dit', [hv], 'Transformer checkpoint.', { isBasic: true, isRequired: true }),
  model.text('dit_high_noise', [wan], 'Transformer for high noise levels; dit is then that for low ones.', {
    dependsOn: ['dit'],
  }),
  model.text('ckpt_dir', [wan], 'Folder with the published checkpoints, instead of a path for each.'),
  model.text('task', [wan], 'Model variant.', { default: 't2v-14B', choices: wanTasks, isBasic: true }),
  model.whole(
    'dit_in_channels',
    [hv],
    'Latent channels of the transformer input; seen from the checkpoint when absent.',
  ),
  model.whole('num_layers', [qwen], 'Number of transformer layers.'),
  model.text('model_version', [qwen], 'Model variant: original, edit, edit-2509, edit-2511 or layered.'),
  model.flag('edit', [qwen], 'Variant that edits a picture.'),
  model.flag('edit_plus', [qwen], 'Variant that edits with several pictures; wins over edit.'),
  model.flag('f1', [framepack], 'The forward-only variant of FramePack.'),
  model.flag('force_v2_1_time_embedding', [wan], 'Use the time embedding of 2.1 with a 2.2 model.'),
  model.number('timestep_boundary', [wan], 'Noise level at which the two transformers change over.', {
    dependsOn: ['dit_high_noise'],
  }),
  model.text('vae', allButHv, 'VAE checkpoint.', { isBasic: true }),
  model.text('vae', [hv], 'VAE checkpoint.', { isBasic: true, isRequired: true }),
  model.text('vae_dtype', [hv, wan], 'Number type of the VAE.'),
  model.flag('vae_tiling', [framepack], 'Run the VAE in tiles.'),
  model.flag('vae_enable_tiling', [qwen], 'Run the VAE in tiles.'),
  model.whole('vae_chunk_size', [hv, framepack], 'Frames the VAE takes at once.'),
  model.whole('vae_spatial_tile_sample_min_size', [hv, framepack], 'Size of the tiles of the VAE; switches them on.'),
  model.flag('vae_cache_cpu', [wan], 'Keep feature caches of the VAE in main memory.'),
  model.text('text_encoder', [qwen], 'Text encoder checkpoint.', { isBasic: true, isRequired: true }),
  model.text('text_encoder1', [hv, framepack, kontext], 'First text encoder.', { isBasic: true, isRequired: true }),
  model.text('text_encoder2', [hv, framepack, kontext], 'Second text encoder.', { isBasic: true, isRequired: true }),
  model.text('image_encoder', [framepack], 'Image encoder checkpoint.', { isBasic: true, isRequired: true }),
  model.text('t5', [wan], 'T5 text encoder checkpoint.', { isBasic: true }),
  model.text('clip', [wan], 'CLIP image encoder checkpoint, for image-to-video of Wan 2.1.'),

  network.text('lora_weight', all, 'Adapter files.', { nargs: '*', isBasic: true }),
  network.number('lora_multiplier', [hv, framepack, kontext, qwen], 'One factor for each of these files.', {
    nargs: '*',
    default: { float: 1 },
    dependsOn: ['lora_weight'],
  }),
  network.number('lora_multiplier', [wan], 'One factor for each of these files; 1 where absent.', {
    nargs: '*',
    dependsOn: ['lora_weight'],
  }),
  network.text('lora_weight_high_noise', [wan], 'Adapter files for the high-noise transformer.', {
    nargs: '*',
    dependsOn: ['dit_high_noise'],
  }),
  network.number('lora_multiplier_high_noise', [wan], 'One factor for each of these files.', {
    nargs: '*',
    dependsOn: ['lora_weight_high_noise'],
  }),
  network.text('include_patterns', allButHv, 'Take only the adapter keys that match one of these expressions.', {
    nargs: '*',
  }),
  network.text('exclude_patterns', allButHv, 'Leave out the adapter keys that match one of these expressions.', {
    nargs: '*',
  }),
  network.flag('exclude_single_blocks', [hv], 'Leave the single-stream blocks without adapter.', {
    dependsOn: ['lora_weight'],
  }),
  network.flag('lycoris', all, 'Apply adapters with LyCORIS.'),
  network.text('save_merged_model', all, 'Write the checkpoint with the adapters merged in, and stop.', {
    dependsOn: ['lora_weight'],
    conflictsWith: ['fp8_scaled'],
  }),

  prompt.text('prompt', allButHv, 'Text that the result follows.', { isBasic: true }),
  prompt.text('prompt', [hv], 'Text that the result follows, or a file that holds it.', {
    isBasic: true,
    isRequired: true,
  }),
  prompt.text('negative_prompt', [hv, wan, framepack, qwen], 'Text that the result keeps away from.', {
    isBasic: true,
  }),
  prompt.text('custom_system_prompt', [framepack], 'System prompt for the language model instead of its own.'),
  prompt.text('from_file', allButHv, 'File with one prompt and its settings a line.', {
    isBasic: true,
    conflictsWith: ['interactive'],
  }),
  prompt.flag('interactive', allButHv, 'Read prompts from the terminal, one after another.', {
    conflictsWith: ['from_file'],
  }),
  prompt.text('automatic_prompt_lang_for_layered', [qwen], 'Language of the description made from a layered picture.', {
    choices: ['en', 'cn'],
  }),

  inputs.text('image_path', videos, 'Picture for the first frame.', { isBasic: true }),
  inputs.text('end_image_path', [wan, framepack], 'Picture for the last frame.'),
  inputs.text('video_path', [hv, wan], 'Video to start from.'),
  inputs.text('control_path', [wan], 'Video that guides a Fun-Control model.'),
  inputs.text('control_image_path', [wan, framepack, qwen], 'Pictures that guide the model.', { nargs: '*' }),
  inputs.text('control_image_path', [kontext], 'Picture to edit.', { isBasic: true }),
  inputs.text('control_image_mask_path', [wan, framepack], 'Masks of these pictures.', {
    nargs: '*',
    dependsOn: ['control_image_path'],
  }),
  inputs.text('mask_path', [qwen], 'Mask of the part to paint anew.'),
  inputs.flag('no_resize_control', [kontext], 'Leave the size of the picture to edit as it is.'),
  inputs.flag('resize_control_to_image_size', [qwen], 'Bring guiding pictures to the size of the result.'),
  inputs.flag('resize_control_to_official_size', [qwen], 'Bring guiding pictures to the area the model knows best.'),
  inputs.number('strength', [hv], 'How much of a given video is made anew, 0 to 1.', { default: { float: 0.8 } }),
  inputs.text('one_frame_inference', [wan, framepack], 'Settings for one frame of its own, e.g. target_index=1.'),
  inputs.flag('one_frame_auto_resize', [framepack], 'Fit the size where one frame is made.'),

  output.text('save_path', all, 'Folder for results.', { isBasic: true, isRequired: true }),
  output.text('output_type', [hv], 'What is written.', {
    default: 'video',
    choices: ['video', 'images', 'latent', 'both'],
  }),
  output.text('output_type', [wan, framepack], 'What is written.', {
    default: 'video',
    choices: ['video', 'images', 'latent', 'both', 'latent_images'],
  }),
  output.text('output_type', pictures, 'What is written.', {
    default: 'images',
    choices: ['images', 'latent', 'latent_images'],
  }),
  output.text('latent_path', all, 'Saved latents to decode, instead of sampling.', { nargs: '*' }),
  output.whole('video_size', videos, 'Height and width in pixels.', { nargs: 2, default: [256, 256], isBasic: true }),
  output.whole('image_size', pictures, 'Height and width in pixels.', { nargs: 2, default: [256, 256], isBasic: true }),
  output.whole('video_length', [hv], 'Number of frames.', { default: 129, isBasic: true }),
  output.whole('video_length', [wan], 'Number of frames; 81, or 1 for pictures, when absent.', { isBasic: true }),
  output.number('video_seconds', [framepack], 'Length in seconds.', { default: { float: 5 }, isBasic: true }),
  output.whole('video_sections', [framepack], 'Length in sections, instead of seconds.'),
  output.whole('fps', [hv], 'Frames a second.', { default: 24 }),
  output.whole('fps', [wan], 'Frames a second.', { default: 16 }),
  output.whole('fps', [framepack], 'Frames a second.', { default: 30 }),
  output.whole('trim_tail_frames', [wan], 'Frames cut from the end.', { default: 0 }),
  output.whole('output_layers', [qwen], 'Layers of a layered picture.', { default: 4 }),
  output.flag('append_original_name', [qwen], 'Put the name of the given picture into that of the result.'),
  output.flag('no_metadata', all, 'Store nothing about how a result was made.'),
  output.flag('bell', [qwen], 'Ring the bell of the terminal at the end.'),

  sampling.whole('seed', all, 'Seed of the noise; drawn when absent.', { isBasic: true }),
  sampling.whole('infer_steps', [hv], 'Number of steps.', { default: 50, isBasic: true }),
  sampling.whole('infer_steps', [wan], 'Number of steps; that of the task when absent.', { isBasic: true }),
  sampling.whole('infer_steps', [framepack, ...pictures], 'Number of steps.', { default: 25, isBasic: true }),
  sampling.text('sample_solver', [wan, framepack], 'Method of sampling.', {
    default: 'unipc',
    choices: ['unipc', 'dpm++', 'vanilla'],
  }),
  sampling.number('flow_shift', [hv], 'Shift of the steps towards noise.', { default: { float: 7 } }),
  sampling.number('flow_shift', allButHv, 'Shift of the steps towards noise; that of the model when absent.'),
  sampling.number('guidance_scale', [hv, framepack], 'Strength of guidance away from the negative prompt; 1 is none.', {
    default: { float: 1 },
    isBasic: true,
  }),
  sampling.number(
    'guidance_scale',
    [wan],
    'Strength of guidance away from the negative prompt; that of the task when absent.',
    {
      isBasic: true,
    },
  ),
  sampling.number('guidance_scale', [qwen], 'Strength of guidance away from the negative prompt; 1 is none.', {
    default: { float: 4 },
    isBasic: true,
  }),
  sampling.number('guidance_scale_high_noise', [wan], 'The same for the high-noise transformer.', {
    dependsOn: ['dit_high_noise'],
  }),
  sampling.number('embedded_cfg_scale', [hv], 'Guidance value that the model receives as an input.', {
    default: { float: 6 },
  }),
  sampling.number('embedded_cfg_scale', [framepack], 'Guidance value that the model receives as an input.', {
    default: { float: 10 },
  }),
  sampling.number('embedded_cfg_scale', pictures, 'Guidance value that the model receives as an input.', {
    default: { float: 2.5 },
  }),
  sampling.number('guidance_rescale', [framepack], 'How far the spread of the guided result is brought back.', {
    default: { float: 0 },
  }),
  sampling.flag('split_uncond', [hv], 'Compute with and without prompt one after the other.'),
  sampling.flag('cpu_noise', [wan], 'Draw the noise on the CPU.'),
  sampling.text('cfg_skip_mode', [wan], 'Which steps go without guidance.', {
    default: 'none',
    choices: ['early', 'late', 'middle', 'early_late', 'alternate', 'none'],
  }),
  sampling.number('cfg_apply_ratio', [wan], 'Share of the steps with guidance.'),
  sampling.text('slg_layers', [wan], 'Blocks left out for skip-layer guidance, with commas between them.'),
  sampling.number('slg_scale', [wan], 'Strength of skip-layer guidance.', { default: { float: 3 } }),
  sampling.number('slg_start', [wan], 'Share of the steps at which it starts.', { default: { float: 0 } }),
  sampling.number('slg_end', [wan], 'Share of the steps at which it ends.', { default: { float: 0.3 } }),
  sampling.text('slg_mode', [wan], 'original adds a term; uncond puts it in place of the negative prompt.', {
    choices: ['original', 'uncond'],
    dependsOn: ['slg_layers'],
  }),
  sampling.whole('latent_window_size', [framepack], 'Latent frames in one section.', { default: 9 }),
  sampling.text('latent_paddings', [framepack], 'Padding of each section, with commas between them.'),
  sampling.number('rope_scaling_factor', [framepack], 'Factor on rotary positions in space.', {
    default: { float: 0.5 },
  }),
  sampling.whole('rope_scaling_timestep_threshold', [framepack], 'Timestep from which on that factor holds.'),
  sampling.text(
    'magcache_mag_ratios',
    [framepack],
    'Ratios of MagCache with commas between them; 0 takes the built-in ones.',
  ),
  sampling.number('magcache_retention_ratio', [framepack], 'First share of the steps, which is never skipped.', {
    default: { float: 0.2 },
  }),
  sampling.number('magcache_threshold', [framepack], 'Largest error that skipped steps may gather.', {
    default: { float: 0.24 },
  }),
  sampling.whole('magcache_k', [framepack], 'Most steps skipped in a row.', { default: 6 }),
  sampling.flag('magcache_calibration', [framepack], 'Measure ratios and print them.'),
  sampling.number('rcm_threshold', [qwen], 'Least change of a pixel that counts, for the mask of changes.'),
  sampling.flag('rcm_relative_threshold', [qwen], 'Take it as a share of the largest change.'),
  sampling.whole('rcm_kernel_size', [qwen], 'Size of the blur of that mask.', { default: 3 }),
  sampling.whole('rcm_dilate_size', [qwen], 'Pixels by which that mask grows.', { default: 0 }),
  sampling.flag('rcm_debug_save', [qwen], 'Write that mask.'),

  memory.text('device', all, 'Device that computes.'),
  memory.flag('fp8', all, '8-bit weights for the transformer.'),
  memory.flag('fp8_scaled', allButHv, '8-bit weights for the transformer with a scale for each block.'),
  memory.flag('fp8_fast', [hv], 'Multiply in 8 bits too.', { dependsOn: ['fp8'] }),
  memory.flag('fp8_fast', [wan], 'Multiply in 8 bits too.', { dependsOn: ['fp8_scaled'] }),
  memory.flag('fp8_llm', [hv, framepack], '8-bit weights for the language model.'),
  memory.flag('fp8_t5', [wan, kontext], '8-bit weights for the T5 text encoder.'),
  memory.flag('text_encoder_cpu', [qwen], 'Run the text encoder on the CPU.'),
  memory.flag('bulk_decode', [framepack], 'Decode all sections together.'),
  memory.flag('lazy_loading', [wan], 'Load the second transformer when it is needed.', {
    dependsOn: ['dit_high_noise'],
  }),
  memory.flag('offload_inactive_dit', [wan], 'Keep the transformer that is not in use in main memory.', {
    dependsOn: ['dit_high_noise'],
    conflictsWith: ['lazy_loading'],
  }),
  memory.text('attn_mode', [hv, framepack, ...pictures], 'Library of attention.', {
    default: 'torch',
    choices: attention,
  }),
  memory.text('attn_mode', [wan], 'Library of attention.', { default: 'torch', choices: wanAttention }),
  memory.text('compile_args', [hv, wan], 'Backend, mode, dynamic and fullgraph of compile in one.', { nargs: 4 }),
  memory.whole('blocks_to_swap', allButHv, 'Number of blocks kept in main memory.', { default: 0 }),
  memory.whole('blocks_to_swap', [hv], 'Number of blocks kept in main memory.'),
  ...alsoFor(machineOptions, [...compiling, 'use_pinned_memory_for_block_swap'], all),
  ...alsoFor(machineOptions, ['split_attn', 'img_in_txt_in_offloading'], [hv]),
  ...alsoFor(machineOptions, ['disable_numpy_memmap'], [wan, framepack, qwen]),
];
