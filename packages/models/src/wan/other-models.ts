import type { Shaped } from '../architecture.ts';

import { ModelError } from '../errors.ts';

type Weights = ReadonlyMap<string, Shaped>;

interface OtherModel {
  readonly what: string;
  readonly remedy: string;
  readonly isThis: (weights: Weights) => boolean;
}

const giveTextToVideo = 'It is not in this release: give a text-to-video checkpoint (2.1: 1.3B or 14B, 2.2: A14B).';

const inputChannels = (weights: Weights) => weights.get('patch_embedding.weight')?.shape[1];
const hasImageAttention = (weights: Weights) => weights.has('blocks.0.cross_attn.k_img.weight');

/** What people have beside the models we build, by its marks; the first that fits names it. */
const others: readonly OtherModel[] = [
  {
    what: 'a LoRA adapter, not a model',
    remedy: 'Give the base model as --dit, and adapters as --network_weights or --base_weights.',
    isThis: (w) => [...w.keys()].some((name) => /^lora_unet_|\.lora_(?:down|up|A|B)\./.test(name)),
  },
  {
    what: 'a Wan model with the key names of diffusers',
    remedy: "Give the original release's file or one repackaged for ComfyUI.",
    isThis: (w) => w.has('condition_embedder.time_embedder.linear_1.weight'),
  },
  { what: 'a Wan VACE model', remedy: giveTextToVideo, isThis: (w) => w.has('vace_patch_embedding.weight') },
  {
    what: 'a Wan 2.1 first-and-last-frame model (flf2v-14B)',
    remedy: giveTextToVideo,
    isThis: (w) => w.has('img_emb.emb_pos'),
  },
  {
    what: 'the Wan 2.2 5B model (ti2v-5B)',
    remedy: giveTextToVideo,
    isThis: (w) => inputChannels(w) === 48 && w.get('head.head.weight')?.shape[0] === 4 * 48,
  },
  {
    what: 'a Wan Fun-Control model',
    remedy: giveTextToVideo,
    isThis: (w) => inputChannels(w) === 48 || w.has('ref_conv.weight'),
  },
  { what: 'a Wan 2.1 image-to-video model (i2v-14B)', remedy: giveTextToVideo, isThis: hasImageAttention },
  {
    what: 'a Wan 2.2 image-to-video model (i2v-A14B)',
    remedy: giveTextToVideo,
    isThis: (w) => inputChannels(w) === 36,
  },
];

/** Refuses, by name, checkpoints that are something else than a Wan text-to-video transformer. */
export function refuseOtherModels(weights: Weights): void {
  const other = others.find(({ isThis }) => isThis(weights));
  if (other) throw new ModelError('UNSUPPORTED_MODEL', `The checkpoint is ${other.what}.`, other.remedy);
}
