import { works, type OptionSpec } from '../option-spec.ts';

/** How attention is computed over the sequence; ours, as the original chooses a library instead. */
export const attentionOptions: readonly OptionSpec[] = [
  {
    name: 'attn_mode',
    type: 'string',
    default: 'auto',
    choices: ['auto', 'whole', 'chunked'],
    group: 'memory',
    help: 'Attention with all scores at once, or a piece of the queries at a time: much less memory for long sequences, a little more time; auto chooses by the largest bucket and the memory of the machine, on WebGPU, in browsers too, also by its largest tensor.',
    support: works,
  },
  {
    name: 'attn_chunk',
    type: 'int',
    default: null,
    range: { min: 1 },
    group: 'memory',
    help: 'Queries of a piece, where attention is computed in pieces; by default 512, and more where there would be over 32 pieces.',
    support: works,
  },
];
