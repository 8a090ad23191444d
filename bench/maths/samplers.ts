import { TorchGenerator } from '../../packages/random/src/index.ts';
import { createTimestepSampler, samplerNames } from '../../packages/samplers/src/index.ts';
import { type Figure, measure } from '../harness.ts';

/** Draws of every sampler in batches of a thousand, random numbers included. */
export async function samplerFigures(draws = 1_000_000): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const timestepSampling of samplerNames) {
    const sampler = createTimestepSampler({ timestepSampling });
    const source = new TorchGenerator(42);
    const count = 1000;
    const timing = await measure(
      () => {
        for (let done = 0; done < draws; done += count)
          sampler({ count, latentShape: [count, 16, 1, 60, 104], source });
      },
      { warmups: 1, repeats: 3 },
    );
    figures.push({ name: `draw_${timestepSampling}_ns`, value: (timing.median * 1e9) / draws, unit: 'ns a timestep' });
  }
  return figures;
}
