import type { Shaped } from '../architecture.ts';

import { ModelError } from '../errors.ts';
import { normalizedChannels } from './normalize.ts';

/** Size of a Wan VAE. */
export interface WanVaeConfig {
  /** `C`, channels of the latents. */
  readonly latentChannels: number;
  /** From pixels to latents. Each level but the last halves rows and columns behind its blocks. */
  readonly levels: readonly WanVaeLevel[];
}

export interface WanVaeLevel {
  readonly width: number;
  /** Residual blocks of the encoder; the decoder has one more. */
  readonly blocks: number;
  /** Halves frames too. */
  readonly halvesFrames: boolean;
}

/** The autoencoder of Wan 2.1 and of Wan 2.2 14B. */
export const wanVae21: WanVaeConfig = {
  latentChannels: 16,
  levels: [
    { width: 96, blocks: 2, halvesFrames: false },
    { width: 192, blocks: 2, halvesFrames: true },
    { width: 384, blocks: 2, halvesFrames: true },
    { width: 384, blocks: 2, halvesFrames: false },
  ],
};

/** Frames behind the first that make one latent frame, and rows and columns that make one. */
export const compression = { frames: 4, sides: 8 } as const;

type Weights = ReadonlyMap<string, Shaped>;

/** Reads the configuration off the encoder: its list of residual blocks and, between levels, resamplers. */
export function inferWanVaeConfig(weights: Weights): WanVaeConfig {
  refuseOtherModels(weights);
  const config = { latentChannels: axisLength(weights, 'conv2.weight', 0), levels: readLevels(weights) };
  checkSupported(config);
  return config;
}

function readLevels(weights: Weights): WanVaeLevel[] {
  const levels: WanVaeLevel[] = [];
  let level = { width: axisLength(weights, 'encoder.conv1.weight', 0), blocks: 0, halvesFrames: false };
  for (let i = 0; ; i++) {
    const at = `encoder.downsamples.${i}`;
    if (weights.has(`${at}.residual.2.weight`)) {
      level = { ...level, width: axisLength(weights, `${at}.residual.2.weight`, 0), blocks: level.blocks + 1 };
    } else if (weights.has(`${at}.resample.1.weight`)) {
      levels.push({ ...level, halvesFrames: weights.has(`${at}.time_conv.weight`) });
      level = { ...level, blocks: 0 };
    } else {
      return [...levels, level];
    }
  }
}

function checkSupported({ latentChannels, levels }: WanVaeConfig): void {
  const halvings = levels.filter((level) => level.halvesFrames).length;
  const fits =
    2 ** (levels.length - 1) === compression.sides &&
    2 ** halvings === compression.frames &&
    levels.every(({ blocks }) => blocks > 0) &&
    latentChannels === normalizedChannels;
  if (fits) return;
  throw new ModelError(
    'UNSUPPORTED_MODEL',
    `The shapes are of an autoencoder with ${latentChannels} latent channels that halves rows and columns` +
      ` ${levels.length - 1} times and frames ${halvings} times; expected ${normalizedChannels} channels, 3 times and 2 times.`,
    remedy,
    { value: { latentChannels, levels } },
  );
}

const remedy = 'Give the VAE of the Wan 2.1 release (Wan2.1_VAE.pth, or wan_2.1_vae.safetensors).';

/** What people have beside it, by its marks. */
function refuseOtherModels(weights: Weights): void {
  const others: [what: string, mark: string][] = [
    ['the VAE of Wan 2.2 5B', 'encoder.downsamples.0.downsamples.0.residual.2.weight'],
    ['a Wan VAE with the key names of diffusers', 'encoder.conv_in.weight'],
    ['a Wan transformer, not its VAE', 'patch_embedding.weight'],
  ];
  const [what] = others.find(([, mark]) => weights.has(mark)) ?? [];
  if (what !== undefined) throw new ModelError('UNSUPPORTED_MODEL', `The checkpoint is ${what}.`, remedy);
}

function axisLength(weights: Weights, name: string, axis: number): number {
  const length = weights.get(name)?.shape[axis];
  if (length !== undefined && length > 0) return length;
  throw new ModelError(
    'KEY_MISMATCH',
    `This is not a complete Wan VAE: "${name}" ${weights.has(name) ? 'has too few axes' : 'is missing'}` +
      ` among its ${weights.size} tensors (the first: ${[...weights.keys()].slice(0, 3).join(', ') || 'none'}).`,
    remedy,
    { missing: [name] },
  );
}
