import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { smallTokenizer } from '../../../scripts/lib/small-tokenizer.mjs';
import { type Parameter, umt5, wan, wanVae } from '../../models/src/index.ts';
import { TorchGenerator } from '../../random/src/index.ts';
import { fromFloat32 } from '../../safetensors/src/index.ts';
import { writeSafetensorsFile } from '../../safetensors/src/node.ts';

/** What a user brings along, by the names that it gets. */
export interface SmallFiles {
  /** Folder of three pictures with captions. */
  readonly images: string;
  readonly transformers: readonly string[];
  readonly vae: string;
  readonly textEncoder: string;
}

/** Pictures, a tokenizer in `tokenizer`, and small models with random weights. */
export async function writeSmallFolder(folder: string, files: SmallFiles): Promise<void> {
  const captions = ['a red square', 'a green square', 'a blue square'];
  mkdirSync(join(folder, files.images));
  mkdirSync(join(folder, 'tokenizer'));
  for (const [i, caption] of captions.entries()) {
    writeFileSync(join(folder, files.images, `${i}.bmp`), bitmap(80, 64, i));
    writeFileSync(join(folder, files.images, `${i}.txt`), caption);
  }
  const { tokenizerJson, tokenizerConfig } = smallTokenizer(captions);
  writeFileSync(join(folder, 'tokenizer', 'tokenizer.json'), JSON.stringify(tokenizerJson));
  writeFileSync(join(folder, 'tokenizer', 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
  const { vocab } = tokenizerJson.model;

  const sizes = { width: 48, ffnWidth: 64, heads: 2, layers: 2, channels: 16, textWidth: 32, timeWidth: 256 };
  for (const [i, name] of files.transformers.entries()) {
    await writeModel(join(folder, name), i + 1, wan.parameters({ ...sizes, textLength: 512, eps: 1e-6 }), {
      config: JSON.stringify({ num_heads: sizes.heads }),
    });
  }
  const text = { width: 32, attentionWidth: 32, ffnWidth: 64, heads: 2, layers: 1, buckets: 32 };
  await writeModel(join(folder, files.textEncoder), 1, umt5.parameters({ ...text, vocabulary: vocab.length }));
  const levels = wanVae.published.levels.map((level) => ({ ...level, width: level.width / 12 }));
  await writeModel(join(folder, files.vae), 1, wanVae.parameters({ ...wanVae.published, levels }));
}

/** A BMP of one colour: 255 in one channel. */
function bitmap(width: number, height: number, channel: number): Uint8Array {
  const bytes = new Uint8Array(54 + width * height * 3);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  const fields: readonly [at: number, value: number][] = [
    [2, bytes.length],
    [10, 54],
    [14, 40],
    [18, width],
    [22, height],
    [26, 1 | (24 << 16)],
  ];
  for (const [at, value] of fields) view.setUint32(at, value, true);
  for (let i = 54 + channel; i < bytes.length; i += 3) bytes[i] = 255;
  return bytes;
}

async function writeModel(
  path: string,
  seed: number,
  parameters: readonly Parameter[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const generator = new TorchGenerator(seed);
  const tensors = parameters.map(({ name, shape }) => {
    const count = shape.reduce((product, axis) => product * axis, 1);
    const data = fromFloat32(
      generator.randn(count).map((x) => 0.1 * x),
      'F32',
    );
    return { name, shape, dtype: 'F32' as const, data };
  });
  await writeSafetensorsFile(path, tensors, { metadata });
}
