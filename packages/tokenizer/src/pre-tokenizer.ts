import {
  MetaspacePreTokenizer,
  SequencePreTokenizer,
  WhitespaceSplitPreTokenizer,
  type PreTokenizer,
} from '@huggingface/tokenizers';

/**
 * The library's pre-tokenizer with a Metaspace that separates words, which its own does not, and Unicode's white
 * space.
 */
export function withWords(preTokenizer: PreTokenizer | null, config: unknown): PreTokenizer | null {
  if (preTokenizer instanceof MetaspacePreTokenizer) return new WordMetaspace(config as MetaspaceConfig);
  if (preTokenizer instanceof WhitespaceSplitPreTokenizer) return new WhiteSpaceSplit();
  if (preTokenizer instanceof SequencePreTokenizer) {
    const { pretokenizers } = config as { readonly pretokenizers: readonly unknown[] };
    preTokenizer.tokenizers = preTokenizer.tokenizers.map((part, i) => withWords(part, pretokenizers[i]));
  }
  return preTokenizer;
}

/** As tokenizer.json has it; files of old versions have `add_prefix_space` instead of `prepend_scheme`. */
interface MetaspaceConfig {
  readonly replacement?: string;
  readonly prepend_scheme?: 'always' | 'never' | 'first';
  readonly add_prefix_space?: boolean;
  readonly split?: boolean;
}

class WordMetaspace extends MetaspacePreTokenizer {
  readonly #split: boolean;

  constructor(config: MetaspaceConfig) {
    const scheme = config.add_prefix_space === false ? 'never' : (config.prepend_scheme ?? 'always');
    super({ type: 'Metaspace', replacement: config.replacement ?? '▁', prepend_scheme: scheme });
    this.#split = config.split ?? true;
  }

  override pre_tokenize_text(text: string, options?: { section_index?: number }): string[] {
    const marked = super.pre_tokenize_text(text, options);
    return this.#split ? marked.flatMap((part) => splitBefore(part, this.replacement)) : marked;
  }
}

class WhiteSpaceSplit extends WhitespaceSplitPreTokenizer {
  override pre_tokenize_text(text: string): string[] {
    return text.match(/\P{White_Space}+/gu) ?? [];
  }
}

/** Parts that each begin with the mark, except perhaps the first: `▁a▁▁b` is `▁a`, `▁`, `▁b`. */
function splitBefore(text: string, mark: string): string[] {
  const parts = text.split(mark);
  return parts.map((part, i) => (i === 0 ? part : mark + part)).filter((part) => part !== '');
}
