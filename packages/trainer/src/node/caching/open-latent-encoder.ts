import type { CacheConfig } from '@musubi/config';

import { resolveWeights, wanVae } from '@musubi/models';
import { openCheckpointFile } from '@musubi/safetensors/node';

import type { LatentEncoder } from '../../caching/encode-pictures.ts';
import type { Closing } from '../open-parts.ts';
import type { CachingHooks } from './hooks.ts';

import { chooseDevice } from '../choose-device.ts';
import { createOpenGraph } from '../open-encoder.ts';
import { createWeightFiles } from '../open-parts.ts';
import { openRuntime } from '../open-runtime.ts';
import { withFile } from '../with-file.ts';
import { type Openable, filesOf, once } from './openable.ts';

/**
 * Wan's VAE: headers are read at once, so that a wrong file ends the run before anything is decoded; `open` makes the
 * sessions.
 */
export async function openLatentEncoder(
  vae: string,
  closing: Closing,
  { runtime, logger = () => {} }: CachingHooks,
  { device, strictDevice }: Pick<CacheConfig, 'device' | 'strictDevice'> = onCpu,
): Promise<Openable<LatentEncoder>> {
  const [model, weightFiles] = await withFile('vae', vae, async () => {
    const checkpoint = await openCheckpointFile(vae);
    closing.push(() => checkpoint.close());
    return [resolveWeights(checkpoint, wanVae), filesOf(checkpoint)] as const;
  });
  const open = once(async (): Promise<LatentEncoder> => {
    const files = createWeightFiles();
    const source = model.source(files.locate(''));
    const openGraph = createOpenGraph(await openRuntime(runtime, closing), {
      externalFiles: files.paths,
      weights: model.weights,
      device: await chooseDevice(device, logger),
      placement: { isStrict: strictDevice, logger, closing },
    });
    const encoder = wanVae.createEncoder(source, model.config, openGraph);
    closing.push(() => encoder.close());
    return encoder;
  });
  return { files: weightFiles, open };
}

const onCpu = { device: { kind: 'cpu', index: 0 }, strictDevice: false } as const;
