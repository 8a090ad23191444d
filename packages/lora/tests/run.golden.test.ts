import { readdirSync } from 'node:fs';
import { TorchGenerator } from '@musubi/random';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { describe, expect, test } from 'vitest';
import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { createLora, hashTensors, loraTensors, readLora } from '../src/index.ts';
import type { LoraAdapter } from '../src/index.ts';

interface Run {
  seed: number;
  draws_before_training: { phase: string; op: string; shape: number[]; words: number }[];
}

const runs = hasGolden('runs')
  ? readdirSync(goldenPath('runs')).filter((name) => hasGolden('runs', name, 'initial_lora.safetensors'))
  : [];

test('there is a run', () => expect(runs.length > 0 || !isDefaultGolden).toBe(true));

describe.each(runs)('runs/%s', (name) => {
  const { seed, draws_before_training: draws } = readGoldenJson<Run>('runs', name, 'run.json');

  test('starts from the same adapter, bit for bit', async () => {
    const store = await openSafetensorsFile(goldenPath('runs', name, 'initial_lora.safetensors'));
    const initial = await readLora(store);
    const sizes = new Map(initial.modules.map((module) => [module.name, module]));

    const generator = new TorchGenerator(seed);
    for (const { phase, words } of draws) if (phase === 'model construction') generator.skip(words);

    // The order of the modules is the model's; the file sorts them by name. In Wan's blocks it is the one below.
    const parts = ['self_attn.q', 'self_attn.k', 'self_attn.v', 'self_attn.o'];
    const block = [...parts, ...parts.map((part) => part.replace('self', 'cross')), 'ffn.0', 'ffn.2'];
    const depth = initial.modules.length / block.length;
    const modules = Array.from({ length: depth }, (_, i) => block.map((part) => `blocks.${i}.${part}`))
      .flat()
      .map((path) => {
        const { inFeatures, outFeatures } = sizes.get(`lora_unet_${path.replaceAll('.', '_')}`)!;
        return { path, inFeatures, outFeatures };
      });
    const { rank, alpha } = initial.modules[0]!;
    const created = createLora({ modules, rank, alpha, generator });

    expect(generator.wordsDrawn).toBe(draws.reduce((sum, { words }) => sum + words, 0));
    expect(byName(created)).toEqual(byName(initial));
    await store.close();
  });

  const saved = readdirSync(goldenPath('runs', name)).filter((file) => /^my_lora.*\.safetensors$/.test(file));
  test.each(saved)('%s has the hashes that we compute', async (file) => {
    const store = await openSafetensorsFile(goldenPath('runs', name, file));
    const tensors = loraTensors(await readLora(store));
    const { sshs_model_hash, sshs_legacy_hash } = await hashTensors(tensors, store.metadata);
    expect(store.metadata).toMatchObject({ sshs_model_hash, sshs_legacy_hash });
    await store.close();
  });
});

function byName({ modules }: LoraAdapter) {
  return new Map(modules.map((module) => [module.name, module]));
}
