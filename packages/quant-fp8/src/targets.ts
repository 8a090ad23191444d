import { Fp8Error } from './errors.ts';

/**
 * Which weights are quantized, by plain parts of their keys: those that end in `.weight`, contain any of `include` and none
 * of `exclude`.
 */
export interface Fp8TargetList {
  /** null: every key that ends in `.weight` */
  readonly include: readonly string[] | null;
  readonly exclude: readonly string[];
}

/** Architectures with a list of their own. */
export type Fp8Architecture = keyof typeof FP8_TARGETS;

/**
 * The lists of musubi-tuner. Its HunyuanVideo has no scaled FP8. Modulation layers stay as they are everywhere but in
 * Qwen-Image.
 */
export const FP8_TARGETS = {
  wan: {
    include: ['blocks'],
    exclude: [
      'norm',
      'patch_embedding',
      'text_embedding',
      'time_embedding',
      'time_projection',
      'head',
      'modulation',
      'img_emb',
    ],
  },
  framepack: { include: ['transformer_blocks', 'single_transformer_blocks'], exclude: ['norm'] },
  flux_kontext: { include: ['single_blocks', 'double_blocks'], exclude: ['norm', 'mod'] },
  qwen_image: { include: ['transformer_blocks'], exclude: ['norm', 'time_text_embed'] },
  flux_2: { include: ['double_blocks', 'single_blocks'], exclude: ['norm', 'pe_embedder', 'time_in', '_modulation'] },
  zimage: {
    include: ['layers.', 'noise_refiner.', 'context_refiner.'],
    exclude: ['_modulation', '.norm_', '_norm'],
  },
  hunyuan_video_1_5: { include: ['double_blocks'], exclude: ['norm', '_emb'] },
} as const satisfies Record<string, Fp8TargetList>;

/** What repackaged checkpoints put before all keys. The lists do not see it: FLUX's `mod` is in `model.` too. */
const PREFIX = /^(model\.)?diffusion_model\./;

/**
 * Whether the weight of that key is quantized.
 *
 * @param targets an architecture, or a list of one's own, which sees whole keys
 * @throws {Fp8Error} `UNKNOWN_ARCHITECTURE`
 */
export function isFp8Target(key: string, targets: Fp8Architecture | Fp8TargetList): boolean {
  const { include, exclude } = typeof targets === 'string' ? targetList(targets) : targets;
  const seen = typeof targets === 'string' ? key.replace(PREFIX, '') : key;
  if (!seen.endsWith('.weight')) return false;
  return (include?.some((part) => seen.includes(part)) ?? true) && !exclude.some((part) => seen.includes(part));
}

/** The key of a weight's scale: `….weight` becomes `….scale_weight`. */
export function scaleKey(key: string): string {
  return key.replace(/\.weight$/, '.scale_weight');
}

function targetList(architecture: Fp8Architecture): Fp8TargetList {
  if (Object.hasOwn(FP8_TARGETS, architecture)) return FP8_TARGETS[architecture];
  const expected = Object.keys(FP8_TARGETS).join(', ');
  throw new Fp8Error(
    'UNKNOWN_ARCHITECTURE',
    `there is no list of FP8 weights for "${String(architecture)}".`,
    `Known are ${expected}; any other model can be quantized with a list of your own.`,
    { found: String(architecture), expected },
  );
}
