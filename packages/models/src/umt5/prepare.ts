import type { HostTensor } from '@musubi/onnx-graph';

import type { Umt5Config } from './config.ts';

import { ModelError } from '../errors.ts';
import { relativePositionBuckets } from './relative-position.ts';

/** What the original puts where attention must not look: the lowest float32. */
const lowest = -3.4028234663852886e38;

/**
 * The inputs of `umt5Encoder` for a batch of texts.
 *
 * @param texts token ids of each, without padding
 */
export function prepareUmt5(config: Umt5Config, texts: readonly ArrayLike<number>[]): Record<string, HostTensor> {
  if (texts.length === 0) fail('The batch has no texts.', []);
  texts.forEach((ids, b) => checkIds(config, ids, b));
  const lengths = texts.map((ids) => ids.length);
  const count = lengths.reduce((a, b) => a + b, 0);
  const longest = lengths.reduce((a, b) => Math.max(a, b), 0);

  const ids = new BigInt64Array(count);
  const places = new BigInt64Array(count);
  const padded = new BigInt64Array(texts.length * longest);
  const padding = new Float32Array(texts.length * longest).fill(lowest);
  let token = 0;
  texts.forEach((text, b) => {
    for (let j = 0; j < text.length; j++, token++) {
      const place = b * longest + j;
      ids[token] = BigInt(text[j] ?? 0);
      places[token] = BigInt(place);
      padded[place] = BigInt(token);
      padding[place] = 0;
    }
  });
  return {
    ids: { dtype: 'int64', shape: [count], data: ids },
    padded: { dtype: 'int64', shape: [texts.length, longest], data: padded },
    places: { dtype: 'int64', shape: [count], data: places },
    padding: { dtype: 'float32', shape: [texts.length, longest], data: padding },
    buckets: relativePositionBuckets(longest, config.buckets),
  };
}

/** An embedding for each text, `[L_b, D]`, from those of all tokens. */
export function splitUmt5(embeddings: HostTensor, texts: readonly ArrayLike<number>[]): HostTensor[] {
  const [count = 0, width = 0] = embeddings.shape;
  const expected = texts.reduce((sum, ids) => sum + ids.length, 0);
  if (embeddings.shape.length !== 2 || count !== expected) {
    fail(`The embeddings are [${embeddings.shape.join(', ')}], the texts have ${expected} tokens.`, embeddings.shape);
  }
  const data = embeddings.data as Float32Array;
  let from = 0;
  return texts.map(({ length }) => {
    const rows = data.slice(from * width, (from + length) * width);
    from += length;
    return { dtype: 'float32', shape: [length, width], data: rows };
  });
}

function checkIds({ vocabulary }: Umt5Config, ids: ArrayLike<number>, b: number): void {
  if (ids.length === 0) fail(`Text ${b} has no tokens.`, ids);
  for (let j = 0; j < ids.length; j++) {
    const id = ids[j] ?? NaN;
    if (Number.isInteger(id) && id >= 0 && id < vocabulary) continue;
    fail(`Text ${b} has the token ${id}; the vocabulary of the model is 0 to ${vocabulary - 1}.`, id);
  }
}

function fail(found: string, value: unknown): never {
  const remedy = 'Use the tokenizer of this text encoder, which gives every text at least an end token.';
  throw new ModelError('BAD_BATCH', found, remedy, { subject: 'texts', value });
}
