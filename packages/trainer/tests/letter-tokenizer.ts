/** A letter for each id from 3 on, none of which any cleaning of texts changes. */
const letterOf = (id: number): string => String.fromCodePoint(0x4e00 + id);

/**
 * tokenizer.json of a vocabulary in which each id is a letter, so that a caption can be written for any ids.
 *
 * @param vocabulary ids: 0 pads, 1 ends a text, 2 is unknown
 */
export function letterTokenizer(vocabulary: number): object {
  const special = ['<pad>', '</s>', '<unk>'];
  const letters = Array.from({ length: vocabulary - special.length }, (_, i) => letterOf(i + special.length));
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
      pair: [],
      special_tokens: { '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] } },
    },
    decoder: null,
    model: { type: 'Unigram', unk_id: 2, vocab: [...special, ...letters].map((piece) => [piece, -1]) },
  };
}

/** The caption that has these ids, the last of which is that of the end. */
export const captionOf = (ids: readonly number[]): string => ids.slice(0, -1).map(letterOf).join('');
