import type { CommandSpec } from './commands.ts';
import type { PlainValue } from './python-value.ts';

/** Values of a command's options as rules see them. */
export interface RuleValues {
  readonly command: CommandSpec;
  /** Undefined where the command has no such option. */
  readonly get: (name: string) => PlainValue | undefined;
  /** Has a value other than its default. */
  readonly isSet: (name: string) => boolean;
}

/** What options say together, where a value alone is right. */
export interface OptionRule {
  /** The option that a message names. */
  readonly option: string;
  /** Absent: wherever there is the option. */
  readonly task?: CommandSpec['task'];
  readonly architecture?: CommandSpec['architecture'];
  /** `warning`: the run goes on, and one line says why it is not what it seems. */
  readonly severity: 'refused' | 'warning';
  readonly isBroken: (values: RuleValues) => boolean;
  /** Follows the option with its value. */
  readonly reason: string | ((values: RuleValues) => string);
  readonly remedy: string;
}

const number = (value: PlainValue | undefined): number => (typeof value === 'number' ? value : Number.NaN);
const text = (value: PlainValue | undefined): string => (typeof value === 'string' ? value : '');
const isGiven = (value: PlainValue | undefined): boolean =>
  Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== '' && value !== false;

/** Blocks of each model; at least one has to stay on the device. */
const mostSwapped: Readonly<Record<string, (values: RuleValues) => number>> = {
  wan: ({ get }) => (text(get('task')).includes('1.3B') ? 29 : 39),
  hv: () => 38,
  fpack: () => 38,
  flux_kontext: () => 34,
  qwen_image: ({ get }) => (number(get('num_layers')) || 60) - 1,
};
const mostBlocks = (values: RuleValues): number => mostSwapped[values.command.architecture ?? '']?.(values) ?? Infinity;

const qwenVersions = ['original', 'layered', 'edit', 'edit-2509', 'edit-2511'];

const range = ({ get }: RuleValues): [low: number, high: number] => [
  number(get('min_timestep') ?? 0),
  number(get('max_timestep') ?? 1000),
];

/** Rules between options: those of the original, whatever it says only after it has loaded the model, and a few of ours. */
export const optionRules: readonly OptionRule[] = [
  {
    option: 'fp8_scaled',
    task: 'train',
    severity: 'refused',
    isBroken: ({ get }) => get('fp8_scaled') === true && get('fp8_base') !== true,
    reason: 'scales need 8-bit weights, which fp8_base switches on.',
    remedy: 'Add fp8_base = true.',
  },
  ...(['fp8_base', 'fp8_scaled'] as const).map((option): OptionRule => ({
    option,
    task: 'train model',
    severity: 'warning',
    isBroken: ({ get }) => get(option) === true,
    reason: 'weights in 8 bits cannot be trained; it is ignored.',
    remedy: 'Remove it.',
  })),
  ...(['train', 'train model'] as const).map((task): OptionRule => ({
    option: 'sage_attn',
    task,
    severity: 'refused',
    isBroken: ({ get }) => get('sage_attn') === true,
    reason: 'SageAttention has no backward pass, so it cannot train.',
    remedy: 'Use sdpa, or none.',
  })),
  {
    option: 'min_timestep',
    severity: 'refused',
    isBroken(values) {
      const [low, high] = range(values);
      return values.get('preserve_distribution_shape') === true ? low >= high : low > high;
    },
    reason: (values) => `expected a number below max_timestep = ${range(values)[1]}.`,
    remedy: 'Choose min_timestep < max_timestep.',
  },
  {
    option: 'log_with',
    severity: 'refused',
    isBroken: ({ get }) => /^(?:tensorboard|all)$/.test(text(get('log_with'))) && !isGiven(get('logging_dir')),
    reason: 'TensorBoard needs a folder for its files.',
    remedy: 'Give a folder as logging_dir.',
  },
  {
    option: 'dim_from_weights',
    severity: 'refused',
    isBroken: ({ get }) => get('dim_from_weights') === true && !isGiven(get('network_weights')),
    reason: 'there is no file to take ranks from.',
    remedy: 'Give the adapter file as network_weights.',
  },
  {
    option: 'lr_scheduler',
    severity: 'warning',
    isBroken: ({ get }) =>
      /schedulefree/i.test(text(get('optimizer_type'))) &&
      (text(get('lr_scheduler')) !== 'constant' || isGiven(get('lr_scheduler_type'))),
    reason: 'a schedule-free optimizer takes no schedule; it is ignored.',
    remedy: 'Remove it, or choose another optimizer.',
  },
  {
    option: 'blocks_to_swap',
    severity: 'refused',
    isBroken: (values) => number(values.get('blocks_to_swap')) > mostBlocks(values),
    reason: (values) => `this model can swap ${mostBlocks(values)} blocks at most.`,
    remedy: 'Choose a smaller number.',
  },
  {
    option: 'block_swap_h2d_only',
    severity: 'refused',
    isBroken: ({ get }) =>
      get('block_swap_h2d_only') === true &&
      number(get('blocks_to_swap')) > 0 &&
      get('gradient_checkpointing') !== true,
    reason: 'it needs the weights again in the backward pass, which only gradient checkpointing reads anew.',
    remedy: 'Add gradient_checkpointing = true.',
  },
  {
    option: 'fp8_block_size',
    task: 'train',
    severity: 'warning',
    isBroken: ({ get, isSet }) =>
      isSet('fp8_block_size') && get('fp8_scaled') === true && get('fp8_quant_mode') !== 'block',
    reason: 'it has no effect, as only fp8_quant_mode = "block" has blocks.',
    remedy: 'Remove it, or fp8_quant_mode.',
  },
  {
    option: 'attn_chunk',
    task: 'train',
    severity: 'warning',
    isBroken: ({ get, isSet }) => isSet('attn_chunk') && get('attn_mode') === 'whole',
    reason: 'it has no effect, as attn_mode = "whole" computes all scores at once.',
    remedy: 'Remove it, or choose attn_mode = "chunked".',
  },
  {
    option: 'gradient_checkpointing_every',
    severity: 'refused',
    isBroken: ({ get }) => number(get('gradient_checkpointing_every')) > 1 && get('gradient_checkpointing') !== true,
    reason: 'no block is computed again without gradient_checkpointing.',
    remedy: 'Add gradient_checkpointing = true, or remove it.',
  },
  {
    option: 'offload_inactive_dit',
    task: 'train',
    severity: 'refused',
    isBroken: ({ get }) =>
      get('offload_inactive_dit') === true && isGiven(get('dit_high_noise')) && number(get('blocks_to_swap')) > 0,
    reason: 'a transformer that is moved as a whole cannot also swap blocks.',
    remedy: 'Remove blocks_to_swap, or offload_inactive_dit.',
  },
  {
    option: 'dit_high_noise',
    task: 'train',
    severity: 'refused',
    isBroken: ({ get }) =>
      isGiven(get('dit_high_noise')) && get('timestep_boundary') === null && !text(get('task')).endsWith('A14B'),
    reason: 'this task has no noise level of its own at which the two transformers change over.',
    remedy: 'Give timestep_boundary, or one of the tasks of Wan 2.2: t2v-A14B, i2v-A14B.',
  },
  {
    option: 'num_timestep_buckets',
    severity: 'warning',
    isBroken: ({ get }) => isGiven(get('dit_high_noise')) && number(get('num_timestep_buckets')) > 1,
    reason: 'slices of the whole range fit two transformers badly, each of which trains a part of it.',
    remedy: 'Remove it, or train the transformers in two runs.',
  },
  ...(['full_fp16', 'full_bf16'] as const).map((option): OptionRule => {
    const precision = option.replace('full_', '');
    return {
      option,
      severity: 'refused',
      isBroken: ({ get }) => get(option) === true && get('mixed_precision') !== precision,
      reason: `gradients of this type need mixed_precision = "${precision}".`,
      remedy: `Write mixed_precision = "${precision}".`,
    };
  }),
  {
    option: 'vae_dtype',
    task: 'train',
    architecture: 'fpack',
    severity: 'refused',
    isBroken: ({ get }) => isGiven(get('vae_dtype')) && get('vae_dtype') !== 'float16',
    reason: 'the VAE of FramePack is float16.',
    remedy: 'Remove it.',
  },
  ...(['fpack', 'flux_kontext', 'qwen_image'] as const).map((architecture): OptionRule => ({
    option: 'vae_dtype',
    task: 'cache latents',
    architecture,
    severity: 'refused',
    isBroken: ({ get }) => isGiven(get('vae_dtype')),
    reason: 'the number type of this VAE is fixed.',
    remedy: 'Remove it.',
  })),
  {
    option: 'vae',
    task: 'cache latents',
    severity: 'refused',
    isBroken: ({ get, command }) =>
      command.support.state === 'refused' && !isGiven(get('vae')) && !isGiven(get('debug_mode')),
    reason: 'is missing.',
    remedy: 'Add --vae FILE, the file of the VAE.',
  },
  {
    option: 'one_frame',
    task: 'cache latents',
    architecture: 'wan',
    severity: 'refused',
    isBroken: ({ get }) => get('one_frame') === true && !isGiven(get('clip')),
    reason: 'one-frame training needs the image encoder.',
    remedy: 'Add --clip FILE.',
  },
  {
    option: 'model_version',
    architecture: 'qwen_image',
    severity: 'refused',
    isBroken: ({ get }) =>
      isGiven(get('model_version')) && !qwenVersions.includes(text(get('model_version')).toLowerCase()),
    reason: `expected one of ${qwenVersions.join(', ')}.`,
    remedy: 'Correct or remove it.',
  },
  {
    option: 'remove_first_image_from_target',
    severity: 'refused',
    isBroken: ({ get }) =>
      get('remove_first_image_from_target') === true && text(get('model_version')).toLowerCase() !== 'layered',
    reason: 'only the layered model has such a first picture.',
    remedy: 'Write model_version = "layered", or remove it.',
  },
  {
    option: 'prompt',
    task: 'generate',
    severity: 'refused',
    isBroken: ({ get }) =>
      get('from_file') !== undefined &&
      !['prompt', 'from_file', 'interactive', 'latent_path'].some((name) => isGiven(get(name))),
    reason: 'is missing.',
    remedy: 'Add --prompt TEXT, --from_file FILE, --interactive, or --latent_path FILE.',
  },
  ...(['wan', 'hv'] as const).map((architecture): OptionRule => ({
    option: 'latent_path',
    task: 'generate',
    architecture,
    severity: 'refused',
    isBroken: ({ get }) => isGiven(get('latent_path')) && !/^(?:video|images)$/.test(text(get('output_type'))),
    reason: 'saved latents can become a video or images.',
    remedy: 'Write --output_type video, or images.',
  })),
  {
    option: 'video_length',
    task: 'generate',
    architecture: 'wan',
    severity: 'refused',
    isBroken: ({ get }) =>
      text(get('task')).includes('t2i') && get('video_length') !== null && number(get('video_length')) !== 1,
    reason: 'this task makes single pictures.',
    remedy: 'Write --video_length 1, or remove it.',
  },
  {
    option: 'fp8_fast',
    architecture: 'hv',
    severity: 'refused',
    isBroken: ({ get }) => get('fp8_fast') === true && get('fp8') !== true,
    reason: 'products in 8 bits need 8-bit weights.',
    remedy: 'Add --fp8.',
  },
  sizes('video_size', 8),
  sizes('image_size', 16),
];

function sizes(option: string, step: number): OptionRule {
  return {
    option,
    severity: 'refused',
    isBroken({ get }) {
      const value = get(option);
      return Array.isArray(value) && value.some((size) => number(size) % step !== 0 || number(size) <= 0);
    },
    reason: `expected a height and a width that ${step} divides.`,
    remedy: `Write e.g. --${option} 512 768.`,
  };
}
