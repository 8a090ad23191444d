import type { NumberSource, PoolSource, TimestepSamplerOptions } from '../src/index.ts';

export type GoldenArgs = Record<string, string | number | boolean | null>;

/** Options of a golden case: the original's names become ours, and its mixtures are those of its release. */
export function toOptions(args: GoldenArgs): TimestepSamplerOptions {
  const entries = Object.entries(args)
    .filter(([key]) => key !== 'num_timestep_buckets' && key !== 'timestep_boundary')
    .map(([key, value]) => [key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]);
  return { ...Object.fromEntries(entries), qinglongPreset: 'musubi-0.3.4' };
}

/** Hands out recorded numbers in order and notes every request. */
export function replay(recorded: { uniform?: number[] | undefined; normal?: number[] | undefined }) {
  const draws: [string, number][] = [];
  const queues = { uniform: [...(recorded.uniform ?? [])], normal: [...(recorded.normal ?? [])] };
  const take = (kind: 'uniform' | 'normal', count: number): Float32Array => {
    draws.push([kind, count]);
    if (queues[kind].length < count) throw new Error(`the recording has no ${count} ${kind} numbers left`);
    return Float32Array.from(queues[kind].splice(0, count));
  };
  const source: NumberSource = { rand: (count) => take('uniform', count), randn: (count) => take('normal', count) };
  return { source, draws, left: () => queues.uniform.length + queues.normal.length };
}

/** Python's generator replaced by recorded fractions, with a shuffle that changes nothing. */
export function replayPool(fractions: readonly number[]) {
  const queue = [...fractions];
  const next = (): number => {
    const fraction = queue.shift();
    if (fraction === undefined) throw new Error('the recording has no fractions left');
    return fraction;
  };
  const source: PoolSource = { random: next, uniform: (a, b) => a + (b - a) * next(), shuffle: () => {} };
  return { source, left: () => queue.length };
}

/** Golden numbers as the float32 numbers that they stand for, with the names of the non-finite ones. */
export function toFloat32(values: readonly (number | string)[]): Float32Array {
  return Float32Array.from(values, Number);
}
