import { MagCacheError } from './errors.ts';
import { createSkipPolicy } from './skip-policy.ts';
import type { SkipPolicyOptions } from './skip-policy.ts';

/** How residuals of type `T` are taken and put back. Both return a new value. */
export interface Arithmetic<T> {
  /** `residual = output − input` */
  subtract(output: T, input: T): T | Promise<T>;
  /** `output = input + residual` */
  add(input: T, residual: T): T | Promise<T>;
}

export interface MagCacheOptions<T> extends SkipPolicyOptions {
  /** Default: `float32Arithmetic`. */
  arithmetic?: Arithmetic<T>;
}

export interface MagCache<T> {
  /**
   * One step of one stream: computes it, or adds the residual of the last computed step to `input`.
   *
   * Streams (conditional and unconditional passes, say) are independent. A section of a longer video is a new start
   * from step 0.
   *
   * @param step 0, 1, 2, …; 0 starts a new section
   * @param input what enters the skippable part: hidden states before the blocks, or the noisy latents
   * @param compute the skippable part, whose output has the shape of its input
   * @param stream name of the stream, default `conditional`
   * @throws {MagCacheError} `STEP_ORDER`; with `float32Arithmetic` also `RESIDUAL_SHAPE`
   */
  run(step: number, input: T, compute: (input: T) => T | Promise<T>, stream?: string): Promise<T>;
  /** How many steps were computed and skipped so far, over all streams and sections. */
  readonly counts: { readonly computed: number; readonly skipped: number };
}

/**
 * MagCache (Ma et al. 2025, arXiv 2506.09045) around any sampling loop: steps whose residual is predictable are not
 * computed. The policy is that of `createSkipPolicy`; each stream has its own state and keeps one residual.
 *
 * @throws {MagCacheError} `MAGCACHE_OPTION`, `MAG_RATIOS`
 *
 * @example
 * ```ts
 * import { createMagCache } from '@musubi/magcache';
 *
 * const cache = createMagCache({ steps: 10 });
 * let x = Float32Array.of(1, 2);
 * for (let step = 0; step < 10; step++) {
 *   const y = await cache.run(step, x, (input) => input.map((value) => 0.9 * value)); // the costly part
 *   x = x.map((value, i) => value + (y[i]! - value) / 10);
 * }
 * console.log(cache.counts); // { computed: 4, skipped: 6 }
 * ```
 */
export function createMagCache<T = Float32Array>(options: MagCacheOptions<T>): MagCache<T> {
  // Without `arithmetic`, T is Float32Array, which no signature short of overloads can say.
  const arithmetic = options.arithmetic ?? (float32Arithmetic as unknown as Arithmetic<T>);
  const newStream = (): Stream<T> => ({ policy: createSkipPolicy(options), residual: null });
  newStream(); // Bad options are reported now, not in the middle of sampling.
  const streams = new Map<string, Stream<T>>();
  const counts = { computed: 0, skipped: 0 };

  return {
    async run(step, input, compute, stream = 'conditional') {
      const state = streams.get(stream) ?? newStream();
      streams.set(stream, state);
      const skips = state.policy.shouldSkip(step);
      if (skips && state.residual !== null) {
        counts.skipped++;
        return arithmetic.add(input, state.residual.value);
      }
      state.residual = null; // Its memory is free while the model runs.
      const output = await compute(input);
      state.residual = { value: await arithmetic.subtract(output, input) };
      counts.computed++;
      return output;
    },
    counts,
  };
}

/** Arithmetic of `Float32Array`s of equal length. */
export const float32Arithmetic: Arithmetic<Float32Array> = {
  subtract(output, input) {
    assertSameLength(output, input);
    return output.map((y, i) => y - input[i]!);
  },
  add(input, residual) {
    assertSameLength(input, residual);
    return input.map((x, i) => x + residual[i]!);
  },
};

function assertSameLength(a: Float32Array, b: Float32Array): void {
  if (a.length === b.length) return;
  throw new MagCacheError(
    'RESIDUAL_SHAPE',
    `A residual needs equal sizes, but ${a.length} and ${b.length} numbers were given.`,
    'Wrap a part of the model whose output has the shape of its input, and start a section of another size with step 0.',
    { option: 'input', value: a.length },
  );
}

interface Stream<T> {
  policy: ReturnType<typeof createSkipPolicy>;
  residual: { value: T } | null;
}
