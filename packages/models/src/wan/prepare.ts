import type { HostTensor } from '@musubi/onnx-graph';

import type { ModelBatch } from '../architecture.ts';
import type { WanConfig } from './config.ts';

import { ModelError } from '../errors.ts';
import { patchSize } from './config.ts';
import { ropeTables, timeSinusoids } from './embeddings.ts';
import { latentSize, toTokens } from './tokens.ts';

/** Positions the original's rotary tables hold on each axis. */
const maxPositions = 1024;

/** The inputs of `wanTransformer` for one batch. */
export function prepareWan(
  config: WanConfig,
  { noisyLatents, timesteps, text }: ModelBatch,
): Record<string, HostTensor> {
  const { B, C, F, H, W } = latentSize(noisyLatents.shape);
  if (C !== config.channels)
    fail('latents', `have ${C} channels, the model takes ${config.channels}`, noisyLatents.shape);
  if (timesteps.length !== B) fail('timesteps', `are ${timesteps.length}, the batch has ${B} items`, timesteps.length);
  if (text.length !== B) fail('text embeddings', `are ${text.length}, the batch has ${B} items`, text.length);

  const grid = [F, H / patchSize, W / patchSize] as const;
  if (Math.max(...grid) > maxPositions) {
    fail('latents', `make a grid of ${grid.join('×')} tokens, each axis may have ${maxPositions}`, noisyLatents.shape);
  }
  const rope = ropeTables(grid, config.width / config.heads / 2);
  return {
    tokens: toTokens(noisyLatents, 'channel, row, column'), // [B, S, 4C]
    time: timeSinusoids(timesteps, config.timeWidth), // [B, 256]
    context: padText(text, config), // [B, L, textWidth]
    rope_cos: rope.cos, // [S, D/2n]
    rope_sin: rope.sin,
  };
}

/** Each embedding followed by rows of zeros. */
function padText(text: ModelBatch['text'], { textLength, textWidth }: WanConfig): HostTensor {
  const data = new Float32Array(text.length * textLength * textWidth);
  text.forEach(({ shape, data: rows }, b) => {
    const [length = 0, width = 0] = shape;
    const fits = shape.length === 2 && width === textWidth && length <= textLength && rows.length === length * width;
    if (!fits) fail(`text embedding ${b}`, `is [${shape.join(', ')}], expected [0…${textLength}, ${textWidth}]`, shape);
    data.set(rows, b * textLength * textWidth);
  });
  return { dtype: 'float32', shape: [text.length, textLength, textWidth], data };
}

function fail(what: string, found: string, value: unknown): never {
  throw new ModelError('BAD_BATCH', `The ${what} ${found}.`, 'Cache them again with the model they are for.', {
    subject: what,
    value,
  });
}
