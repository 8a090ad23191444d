// A tokenizer for the demonstration's text encoder, which has a few hundred embeddings instead of a quarter of a
// million.

/** Pieces at most, unless the captions have more characters: rarer words are spelled. */
const maxPieces = 400;

const special = ['<pad>', '</s>', '<unk>'];

/**
 * A Unigram tokenizer made of captions: their words, each with the space before it, by how often they occur, and
 * their characters, from which other words are spelled. The same captions give the same tokenizer. Ids: `<pad>` 0,
 * `</s>` 1, `<unk>` 2.
 *
 * It takes captions as `cleanText` leaves them. A character that none of the captions has is `<unk>`.
 *
 * @param {readonly string[]} captions
 * @returns {{ tokenizerJson: object, tokenizerConfig: object }} contents of tokenizer.json and tokenizer_config.json
 */
export function smallTokenizer(captions) {
  const words = countAll(captions.flatMap((caption) => caption.split(/\s+/).filter(Boolean)).map((word) => `▁${word}`));
  const characters = countAll(captions.flatMap((caption) => [...caption.replaceAll(/\s/g, '')])).map(
    ([piece]) => piece,
  );
  const letters = ['▁', ...characters.filter((character) => character !== '▁')];
  const kept = words.slice(0, Math.max(0, maxPieces - special.length - letters.length));
  const total = words.reduce((sum, [, count]) => sum + count, 0);
  // A word costs less than its letters, each of which costs as much as a word that occurs once.
  const letterScore = -Math.log(total + 1);
  const vocab = [
    ...special.map((piece) => [piece, 0]),
    ...kept.map(([piece, count]) => [piece, Math.log(count / (total + 1))]),
    ...letters.map((piece) => [piece, letterScore]),
  ];
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
  const tokenizerJson = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => addedToken(id, content)),
    normalizer: null,
    pre_tokenizer: metaspace,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
      pair: [],
      special_tokens: { '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] } },
    },
    decoder: metaspace,
    model: { type: 'Unigram', unk_id: 2, vocab, byte_fallback: false },
  };
  const tokenizerConfig = { tokenizer_class: 'T5Tokenizer', eos_token: '</s>', pad_token: '<pad>', unk_token: '<unk>' };
  return { tokenizerJson, tokenizerConfig: { ...tokenizerConfig, extra_ids: 0, model_max_length: 512 } };
}

/** Texts with how often they occur: the most frequent first, equally frequent ones by their characters. */
function countAll(texts) {
  const counts = new Map();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
}

function addedToken(id, content) {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}
