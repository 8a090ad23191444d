import type { TrainConfig } from '@musubi/config';
import { PythonRandom, TorchGenerator } from '@musubi/random';
import { createBucketedUniform, histogramSvg, histogramText, timestepHistogram } from '@musubi/samplers';

import type { CliContext } from './context.ts';
import { pngFont, writePng } from './render-png.ts';

/**
 * `--show_timesteps`: draws 100 000 timesteps as the run would, and shows them as text or as a PNG file in the output folder.
 *
 * @throws {SamplerError} for settings that give no timesteps
 * @throws {CliError} `PNG_UNAVAILABLE`
 */
export async function showTimesteps(config: TrainConfig, { stdout }: Pick<CliContext, 'stdout'>): Promise<void> {
  const seed = config.seed ?? Math.floor(Math.random() * 2 ** 32);
  const { numTimestepBuckets } = config;
  const histogram = timestepHistogram(
    { ...config, sigmaDtype: 'float16' },
    {
      source: new TorchGenerator(seed),
      numTimestepBuckets,
      bucketedUniform:
        numTimestepBuckets === null || numTimestepBuckets < 2
          ? null
          : createBucketedUniform(numTimestepBuckets, new PythonRandom(seed)),
    },
  );
  if (config.showTimesteps === 'console') {
    stdout.write(
      histogramText(histogram)
        .map((line) => `${line}\n`)
        .join(''),
    );
    return;
  }
  stdout.write(`${await writePng(histogramSvg(histogram, pngFont), config, 'timesteps')}\n`);
}
