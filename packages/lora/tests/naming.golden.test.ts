import { openSafetensorsFile } from '@musubi/safetensors/node';
import { describe, expect, test } from 'vitest';
import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { loraName, readLora } from '../src/index.ts';
import type { LoraModule } from '../src/index.ts';

interface Golden {
  architectures: Record<string, { modules: [name: string, path: string, ...converted: string[]][] }>;
}

const golden =
  isDefaultGolden || hasGolden('files', 'convert_lora.json')
    ? readGoldenJson<Golden>('files', 'convert_lora.json').architectures
    : {};

test.each(Object.entries(golden))('names of %s', (_, { modules }) => {
  expect(modules.map(([, path]) => loraName(path))).toEqual(modules.map(([name]) => name));
});

// Written by the original's converter: the same adapter in our naming and in the one with dots.
const pairs = ['wan', 'qwen'].filter((name) => hasGolden('files', 'convert', `${name}_to_other_in.safetensors`));

describe.each(pairs)('%s', (name) => {
  test('reads the same adapter in both namings', async () => {
    const [ours, dotted] = await Promise.all(
      ['in', 'out'].map(async (side) => {
        const store = await openSafetensorsFile(goldenPath('files', 'convert', `${name}_to_other_${side}.safetensors`));
        const adapter = await readLora(store);
        await store.close();
        return new Map(adapter.modules.map((module) => [module.name, module]));
      }),
    );
    expect([...dotted!.keys()].toSorted()).toEqual([...ours!.keys()].toSorted());
    for (const [key, module] of ours!)
      expect(update(dotted!.get(key)!)).toBeAllClose(update(module), { rtol: 0.02, atol: 1e-6 });
  });
});

/** `(alpha / rank)·up·down`, `[out, in]` */
function update({ rank, alpha, inFeatures, outFeatures, down, up }: LoraModule): Float64Array {
  const out = new Float64Array(outFeatures * inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    for (let i = 0; i < inFeatures; i++) {
      for (let r = 0; r < rank; r++) out[o * inFeatures + i]! += up[o * rank + r]! * down[r * inFeatures + i]!;
      out[o * inFeatures + i]! *= alpha / rank;
    }
  }
  return out;
}
