import { SamplerError } from './errors.ts';
import { assertNumber } from './internal/numbers.ts';
import { assertDtype, roundTo } from './internal/rounding.ts';
import type { FloatDtype } from './internal/rounding.ts';

/**
 * Latents with noise mixed in, item by item: `(1 − t)·latents + t·noise`, each operation rounded to float32.
 *
 * @param latents `[B, …]`, contiguous
 * @param noise same length
 * @param t noise level of each of the B items
 * @param dtype element type of t, in which `1 − t` is rounded (the transformer's with `sigma`, else float32)
 * @throws {SamplerError} `BATCH_SHAPE` when lengths do not fit, `BAD_NUMBER` for a noise level that is no number,
 *   `SAMPLER_OPTION` for the dtype
 *
 * @example
 * ```ts
 * import { noisyLatents } from '@musubi/samplers';
 *
 * console.log(noisyLatents(Float32Array.of(1, 2), Float32Array.of(0, 0), Float32Array.of(0.5, 0.25)));
 * // Float32Array(2) [ 0.5, 1.5 ]
 * ```
 */
export function noisyLatents(
  latents: Float32Array,
  noise: Float32Array,
  t: ArrayLike<number>,
  dtype: FloatDtype = 'float32',
): Float32Array {
  if (latents.length !== noise.length || t.length === 0 || latents.length % t.length !== 0) {
    const problem = `${latents.length} latents, ${noise.length} numbers of noise and ${t.length} timesteps do not fit together.`;
    const remedy = 'Pass as much noise as latents and one timestep an item.';
    throw new SamplerError('BATCH_SHAPE', problem, remedy, { option: 't', value: t.length });
  }
  assertDtype(dtype);
  const perItem = latents.length / t.length;
  const mixed = new Float32Array(latents.length);
  for (let item = 0; item < t.length; item++) {
    const noiseShare = t[item]!;
    assertNumber('t', noiseShare, Number.isFinite, 'noise levels from 0 to 1');
    const latentShare = roundTo[dtype](1 - noiseShare);
    for (let i = item * perItem; i < (item + 1) * perItem; i++) {
      mixed[i] = Math.fround(latentShare * latents[i]!) + Math.fround(noiseShare * noise[i]!);
    }
  }
  return mixed;
}
