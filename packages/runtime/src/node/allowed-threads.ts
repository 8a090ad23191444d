import { availableParallelism, cpus } from 'node:os';

/**
 * How many threads fit this process where it may not use all processors (taskset, Slurm, pinned containers), else
 * undefined: ONNX Runtime itself takes one a physical core of the machine, allowed or not.
 */
export function allowedThreads(available = availableParallelism(), all = cpus().length): number | undefined {
  return available < all ? available : undefined;
}
