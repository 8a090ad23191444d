import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { wan } from '../../packages/models/src/index.ts';
import { TorchGenerator } from '../../packages/random/src/index.ts';
import { writeSafetensorsFile } from '../../packages/safetensors/src/node.ts';
import { latentCache, textCache } from '../../packages/trainer/src/index.ts';
import { writeRandomCheckpoint } from '../encode/checkpoint.ts';

export interface Project {
  readonly task: 't2v-1.3B' | 't2v-14B';
  readonly picture: readonly [width: number, height: number];
  /** Instead of the published sizes, for a trial. */
  readonly isSmall: boolean;
}

const small = { dim: 256, ffn_dim: 512, num_heads: 2, num_layers: 2, text_dim: 128 };

/**
 * What a user would have on disk: a checkpoint, here of seeded random numbers in bfloat16, and the caches of a captioned
 * picture.
 */
export async function writeProject(folder: string, { task: name, picture, isSmall }: Project): Promise<void> {
  const task = wan.tasks[name]!;
  if (!('config' in task)) throw new Error(`${name} has no configuration`);
  const sizes = {
    width: small.dim,
    ffnWidth: small.ffn_dim,
    heads: small.num_heads,
    layers: 2,
    textWidth: small.text_dim,
  };
  const config = isSmall ? { ...task.config, ...sizes } : task.config;
  await writeRandomCheckpoint(join(folder, 'dit.safetensors'), wan.parameters(config), 'BF16');
  if (isSmall) await writeFile(join(folder, 'model.json'), JSON.stringify(small));

  const generator = new TorchGenerator(5);
  const random = (shape: readonly number[]) => ({ shape, data: generator.randn(shape.reduce((a, b) => a * b, 1)) });
  const [width, height] = picture;
  const shared = { architecture: wan.longName, precision: 'fp32' } as const;
  const latents = latentCache({ ...shared, originalSize: picture, latents: random([16, 1, height / 8, width / 8]) });
  const texts = textCache({
    ...shared,
    caption: 'a picture',
    embeddings: { varlen_t5: random([64, config.textWidth]) },
  });
  await mkdir(join(folder, 'cache'));
  const size = picture.map((side) => String(side).padStart(4, '0')).join('x');
  for (const [file, { tensors, metadata }] of [
    [`picture_${size}_${wan.shortName}.safetensors`, latents],
    [`picture_${wan.shortName}_te.safetensors`, texts],
  ] as const) {
    await writeSafetensorsFile(join(folder, 'cache', file), tensors, { metadata });
  }
  await writeFile(
    join(folder, 'dataset.toml'),
    `[[datasets]]\nimage_directory = "images"\ncache_directory = "cache"\nresolution = [${picture.join(', ')}]\nbatch_size = 1\n`,
  );
}
