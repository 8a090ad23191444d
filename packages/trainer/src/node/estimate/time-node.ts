import type { Runtime, SessionRequest } from '@musubi/runtime';

import { encodeModel, gateOnDevice } from '@musubi/onnx-graph';

import { type Build, repeated } from './probe-graphs.ts';

/** Where sessions run. */
export type Where = Pick<SessionRequest, 'memory' | 'providers' | 'deviceId' | 'externalData'>;

/** So that the difference of two measurements is not their noise, which is less where a node takes long. */
const [leastRepeats, leastOfLong] = [3, 1];
const mostRepeats = 50;
/** Seconds. */
const mostLoading = 1;

/**
 * Seconds of one node: what a graph with more of them takes longer than one with fewer, so that making the operands, which
 * may be as large as the work itself, does not count. Where a device compiles the first graph for more than a second, there
 * is no second one, and it counts.
 *
 * @param budget seconds that the runs may take together; loading and first runs, in which some devices compile, come on top
 * @param expected seconds
 */
export async function secondsOf(
  runtime: Runtime,
  build: Build,
  where: Where,
  { budget, expected }: { readonly budget: number; readonly expected: number },
): Promise<number> {
  const start = performance.now();
  const few = await fastest(runtime, 1, build, where, budget / 3);
  const loading = (performance.now() - start) / 1000 - Math.max(budget, few);
  if (loading > mostLoading) return few;
  const least = expected > budget / 2 ? leastOfLong : leastRepeats;
  const repeats = Math.min(mostRepeats, Math.max(least, Math.floor(budget / 6 / expected)));
  const many = await fastest(runtime, 1 + repeats, build, where, (2 * budget) / 3);
  // On a machine that does something else too, the shorter one may take as long.
  return Math.max(many - few, many / (2 * (1 + repeats))) / repeats;
}

/** Seconds of the fastest run in `seconds` after one to warm up: at least of two, or of one that takes longer. */
async function fastest(runtime: Runtime, count: number, build: Build, where: Where, seconds: number): Promise<number> {
  const graph = repeated(count, build);
  // A target of a gate is read on the host, for which CUDA would wait.
  const model = encodeModel(where.providers?.includes('cuda') ? gateOnDevice(graph) : graph);
  const session = await runtime.createSession({ label: 'probe', model, ...where });
  const feeds = { one: { dtype: 'float32', shape: [1], data: Float32Array.of(1) } } as const;
  try {
    await session.run(feeds);
    let best = Infinity;
    const end = performance.now() + 1000 * seconds;
    for (let run = 0; performance.now() < end || (run < 2 && best < seconds); run++) {
      const start = performance.now();
      await session.run(feeds);
      best = Math.min(best, (performance.now() - start) / 1000);
    }
    return best;
  } finally {
    await session.release();
  }
}
