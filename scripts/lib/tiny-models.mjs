// Checkpoints of the quick start: a Wan transformer, its VAE and its text encoder, all very small, with seeded random
// weights. They have the tensors of the published ones by name and order; only the sizes differ.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './workspace.mjs';

const built = (name, entry = 'index') =>
  import(pathToFileURL(join(root, 'packages', name, 'dist', `${entry}.js`)).href);

const wanConfig = { width: 96, ffnWidth: 192, heads: 3, layers: 4, channels: 16, textWidth: 64, timeWidth: 256 };
const umt5Config = { width: 64, attentionWidth: 64, ffnWidth: 128, heads: 4, layers: 3, buckets: 32 };
/** Of the published widths. */
const vaeShare = 1 / 6;

/**
 * Writes `wan.safetensors`, `vae.safetensors` and `umt5.safetensors`.
 *
 * @param folder where they go
 * @param vocabulary of the tokenizer
 * @param load imports an entry of a package, by default as it is built
 */
export async function writeTinyModels(folder, vocabulary, load = built) {
  const { umt5, wan, wanVae } = await load('models');
  const dit = wan.parameters({ ...wanConfig, textLength: 512, eps: 1e-6 });
  await write(load, join(folder, 'wan.safetensors'), dit, 1, {
    // what shapes do not tell of a model that is smaller than the published ones
    config: JSON.stringify({ num_heads: wanConfig.heads }),
  });
  await write(load, join(folder, 'umt5.safetensors'), umt5.parameters({ ...umt5Config, vocabulary }), 2);
  const { levels } = wanVae.published;
  const vaeConfig = {
    ...wanVae.published,
    levels: levels.map((level) => ({ ...level, width: level.width * vaeShare })),
  };
  await write(load, join(folder, 'vae.safetensors'), wanVae.parameters(vaeConfig), 3);
}

async function write(load, path, parameters, seed, metadata = {}) {
  const { TorchGenerator } = await load('random');
  const { fromFloat32 } = await load('safetensors');
  const { writeSafetensorsFile } = await load('safetensors', 'node');
  const generator = new TorchGenerator(seed);
  const tensors = parameters.map(({ name, shape }) => {
    const count = shape.reduce((product, axis) => product * axis, 1);
    const { scale, offset } = initialization(name, shape);
    const data = generator.randn(count).map((x) => offset + scale * x);
    return { name, shape, dtype: 'BF16', data: fromFloat32(data, 'BF16') };
  });
  await writeSafetensorsFile(path, tensors, { metadata });
}

/** Gains of norms are 1, everything else is small enough that values keep their size from layer to layer. */
function initialization(name, shape) {
  if (/gamma$|norm[\w.]*weight$/.test(name)) return { scale: 0, offset: 1 };
  if (name.endsWith('bias')) return { scale: 0.02, offset: 0 };
  if (name.includes('modulation')) return { scale: 0.3, offset: 0 };
  if (name.includes('embedding.weight') && shape.length === 2) return { scale: 1, offset: 0 };
  const inputs = shape.slice(1).reduce((product, axis) => product * axis, 1);
  return { scale: 1 / Math.sqrt(inputs), offset: 0 };
}
