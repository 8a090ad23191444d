import { LoraError } from './errors.ts';
import { loraName } from './naming.ts';

/** What a key of an adapter file ends with, and what the part is called here. */
const SUFFIXES = {
  '.lora_down.weight': 'lora_down.weight',
  '.lora_up.weight': 'lora_up.weight',
  // ComfyUI and Diffusers
  '.lora_A.weight': 'lora_down.weight',
  '.lora_B.weight': 'lora_up.weight',
  '.hada_w1_a': 'hada_w1_a',
  '.hada_w1_b': 'hada_w1_b',
  '.hada_w2_a': 'hada_w2_a',
  '.hada_w2_b': 'hada_w2_b',
  '.lokr_w1': 'lokr_w1',
  '.lokr_w2': 'lokr_w2',
  '.lokr_w2_a': 'lokr_w2_a',
  '.lokr_w2_b': 'lokr_w2_b',
  '.alpha': 'alpha',
} as const;

export type Part = (typeof SUFFIXES)[keyof typeof SUFFIXES];

const DOTTED_PREFIX = /^(?:diffusion_model|transformer)\./;

/**
 * Module and part of a key in any naming.
 *
 * @returns the module as files of the default layout name it, e.g. `lora_unet_blocks_0_self_attn_q`
 * @throws {LoraError} `NOT_A_LORA`, `ADAPTER_UNSUPPORTED`
 */
export function parseKey(key: string): { module: string; part: Part } {
  const suffix = Object.keys(SUFFIXES).find((candidate) => key.endsWith(candidate));
  if (suffix === undefined) {
    const other = /\.(?:hada|lokr|dora|diff)_/.exec(key);
    throw other
      ? new LoraError(
          'ADAPTER_UNSUPPORTED',
          `"${key}" belongs to a DoRA, or to a decomposition of convolutions.`,
          'Give the file of a LoRA, LoHa or LoKr of linear layers.',
        )
      : new LoraError('NOT_A_LORA', `"${key}" is no part of a LoRA.`, 'Give the file of a LoRA, not of a model.');
  }
  const path = key.slice(0, -suffix.length);
  const module = DOTTED_PREFIX.test(path) ? loraName(path.replace(DOTTED_PREFIX, '')) : path;
  return { module, part: SUFFIXES[suffix as keyof typeof SUFFIXES] };
}

/** A key of any naming as the default layout has it: `lora_unet_….lora_down.weight`, `….alpha`, `….hada_w1_a`. */
export function canonicalKey(key: string): string {
  const { module, part } = parseKey(key);
  return `${module}.${part}`;
}
