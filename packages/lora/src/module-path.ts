/** Names of the default layout have `_` for every dot, so the path of a module has to be guessed from words it consists of. */
const PREFIX = 'lora_unet_';

/** Paths that only a list can tell, `*` being the number of a block: those of Qwen-Image. FramePack shares some. */
const LISTED = [
  'time_text_embed.timestep_embedder.linear_1',
  'time_text_embed.timestep_embedder.linear_2',
  'txt_norm',
  'img_in',
  'txt_in',
  'norm_out.linear',
  'proj_out',
  ...['img_mod.1', 'txt_mod.1', 'img_mlp.net.0.proj', 'img_mlp.net.2', 'txt_mlp.net.0.proj', 'txt_mlp.net.2'].map(
    inBlock,
  ),
  ...['norm_q', 'norm_k', 'norm_added_q', 'norm_added_k', 'to_q', 'to_k', 'to_v', 'to_out.0', 'to_add_out']
    .map((part) => `attn.${part}`)
    .map(inBlock),
  ...['add_q_proj', 'add_k_proj', 'add_v_proj'].map((part) => inBlock(`attn.${part}`)),
];

function inBlock(part: string): string {
  return `transformer_blocks.*.${part}`;
}

const listed = new Map(LISTED.map((path) => [path.replaceAll('.', '_'), path]));

interface Repair {
  /** after every `_` has become a dot, these words tell the family of models */
  readonly when: RegExp;
  /** words that have an underscore of their own */
  readonly words: readonly string[];
}

const REPAIRS: readonly Repair[] = [
  // Wan
  { when: /\.(?:cross|self)\.attn\./, words: ['cross_attn', 'self_attn', 'k_img', 'v_img'] },
  // Z-Image
  { when: /\.attention\.to\.|\.feed\.forward\./, words: ['to_q', 'to_k', 'to_v', 'to_out', 'feed_forward'] },
  // HunyuanVideo; for FLUX see below
  { when: /double\.blocks\.|single\.blocks\./, words: ['double_blocks.', 'single_blocks.', 'img_', 'txt_', 'attn_'] },
];

/** Where the words above are wrong, when it is known what the adapter was trained for. */
const EXACT: readonly { readonly architecture: RegExp; readonly repair: (path: string) => string }[] = [
  { architecture: /^flux/i, repair: (path) => path.replace(/(img|txt)_attn_/, '$1_attn.') },
  {
    architecture: /^frame_?pack/i,
    repair: (path) =>
      path
        .replace('transformer.blocks.', 'transformer_blocks.')
        .replace('single.transformer_blocks.', 'single_transformer_blocks.')
        .replace('ff.context', 'ff_context')
        .replace('norm1.context', 'norm1_context')
        .replace('proj.mlp', 'proj_mlp')
        .replace('proj.out', 'proj_out')
        .replace(/attn\.(to|add)\.([qkv])(?:\.(proj))?/, (_, a: string, b: string, c?: string) =>
          c === undefined ? `attn.${a}_${b}` : `attn.${a}_${b}_${c}`,
        )
        .replace('attn.to.out', 'attn.to_out')
        .replace('attn.to.add.out', 'attn.to_add_out'),
  },
];

/**
 * The path of a module from its name: `lora_unet_blocks_0_self_attn_q` → `blocks.0.self_attn.q`.
 *
 * Right for HunyuanVideo, Wan, Qwen-Image and Z-Image; for FLUX and FramePack when `architecture` says so. Without it
 * the guess is that of the original program, which is wrong for FLUX's attention and half of FramePack.
 *
 * @param architecture as `ss_base_model_version` has it, e.g. `flux_kontext`
 */
export function modulePath(name: string, architecture: string | null = null): string {
  const plain = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  const known = listed.get(plain.replace(/^transformer_blocks_\d{1,2}_/, 'transformer_blocks_*_'));
  if (known !== undefined) return known.replace('*', /\d+/.exec(plain)?.[0] ?? '');
  const dotted = plain.replaceAll('_', '.');
  const words = REPAIRS.find(({ when }) => when.test(dotted))?.words ?? [];
  const guess = words.reduce((path, word) => path.replaceAll(word.replaceAll('_', '.'), word), dotted);
  const exact = architecture === null ? undefined : EXACT.find((entry) => entry.architecture.test(architecture));
  return exact ? exact.repair(guess) : guess;
}
