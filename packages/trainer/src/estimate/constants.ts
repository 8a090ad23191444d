import type { Provider } from '@musubi/runtime';

/**
 * What an estimate cannot read from a graph or measure in two seconds: each number with where it comes from and how to find it
 * again. `pnpm bench estimate` compares the whole with runs.
 */

// Memory.

/**
 * Bytes of a node in a session: ONNX Runtime's own graph with names, types and kernels, and the message it was read from.
 *
 * Measured as the growth of anonymous memory (`RssAnon` in `/proc/self/status`) while a session is created that packs and copies
 * no weight: 24.4 to 28.6 MiB for 3562 nodes, the checkpointed graph of the bench model with FP8 weights.
 */
export const bytesPerNode = 8e3;

/** Copies of a batch, by reading the code: with the caller, in the worker, and one that waits for the next batch. */
export const copiesOfFeeds = 3;

/** Of the adapter, by reading the code: its weights, what a failed step is undone with, and one that crosses to the worker. */
export const copiesOfAdapter = 3;

/**
 * Of gradients outside the graph: those of a step, and those of the step before, which wait for the garbage collector (or their
 * sum). Measured over 24 steps: `external` less `arrayBuffers` of `process.memoryUsage()` stays at 2 copies.
 */
export const copiesOfGradients = 2;

/**
 * Share of the memory of a machine that a run may take: the operating system and mapped weights need the rest. Of a card, what
 * is lost between blocks, and what a desktop takes. A choice.
 */
export const usableShare = 0.9;

/**
 * What a provider takes on its card beside tensors: CUDA's context with the kernels of its libraries, and their workspaces. Not
 * measured, as no card has run this yet: half a gigabyte is what is commonly told of other programs with these libraries. To
 * measure it: what `nvidia-smi` shows of a run with a tiny model.
 */
export const contextBytes: Readonly<Partial<Record<Provider, number>>> = { cuda: 512 * 2 ** 20 };

// Time.

/**
 * Seconds around each kernel: its slots, its output, waking other threads. A rough figure, about 10 ms of a step of the bench
 * model. A chain of 4000 additions of four numbers, which wake no thread, less one of 500 takes 0.24 µs a node.
 */
export const secondsPerNode = 4e-6;

/**
 * Seconds of a parameter in a step: AdamW in JavaScript (1.5 to 4.3 ns, `adamw_ns` of `pnpm bench maths`), and, roughly, twice
 * that for clipping and the way of gradients and parameters between threads. To measure it: `step_ms` less
 * `forward_backward_ms` of `pnpm bench step`, over the adapter's parameters.
 */
export const secondsPerParameter = 12e-9;
