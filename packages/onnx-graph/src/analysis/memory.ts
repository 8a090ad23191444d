import type { Graph, Node, Value } from '../graph.ts';

import { type Allocator, createArena, createHeap } from './arena.ts';
import { type Buffer, planBuffers } from './buffers.ts';
import { scratchBytes } from './kernels.ts';
import { executionOrder } from './order.ts';
import { type Sizes, type Symbols, createSizes } from './sizes.ts';

export interface MemoryOptions {
  /** ONNX Runtime's memory arena is on. Default true. */
  readonly arena?: boolean;
}

/** Memory of intermediate tensors and outputs while a graph runs. Weights and inputs of the graph are not counted. */
export interface MemoryTimeline {
  readonly steps: readonly MemoryStep[];
  /** Most bytes of tensors alive at one time. */
  readonly peakLiveBytes: number;
  /** Index into `steps` where that is. */
  readonly peakStep: number;
  /** What the process ends up holding for them. With the arena more than are alive, as it keeps gaps. */
  readonly peakBytes: number;
  /** Tensors alive at the peak, the largest first. */
  readonly aliveAtPeak: readonly LiveTensor[];
}

export interface MemoryStep {
  readonly node: Node;
  /** Bytes of tensors alive while the node runs. */
  readonly liveBytes: number;
}

export interface LiveTensor {
  readonly value: Value;
  readonly bytes: number;
}

/** What memory a graph needs for given lengths; made once for a graph. */
export interface MemoryModel {
  timeline(symbols: Symbols): MemoryTimeline;
  /** What the process ends up holding when runs of several lengths follow one another: the arena keeps gaps of each. */
  peakBytesOf(runs: readonly Symbols[]): number;
}

/** Runs after which the arena does not grow any more: what lies where differs between the first and the second. */
const rounds = 2;

/**
 * Memory over the execution of a graph on ONNX Runtime's CPU provider, without running it: its order of nodes, its reuse
 * of memory, its arena. Functions throw {@link GraphError} `BAD_DIMENSION` for a symbol without a length.
 */
export function createMemoryModel(graph: Graph, { arena = true }: MemoryOptions = {}): MemoryModel {
  const order = executionOrder(graph);
  const buffers = planBuffers(graph, order);
  const starting = groupBy(buffers, ({ from }) => from);
  const ending = groupBy(buffers, ({ until }) => until);
  const createAllocator = arena ? createArena : createHeap;

  /** Calls back while each node runs, with the bytes alive. */
  function run(sizes: Sizes, allocator: Allocator, visit: (node: Node, liveBytes: number) => void): void {
    const addresses = new Map<Buffer, number>();
    let live = 0;
    order.forEach((node, step) => {
      for (const buffer of starting.get(step) ?? []) {
        const bytes = bytesOf(buffer, sizes);
        live += bytes;
        if (bytes > 0) addresses.set(buffer, allocator.allocate(bytes));
      }
      const scratch = scratchBytes(node, sizes);
      const address = scratch > 0 ? allocator.allocate(scratch) : null;
      visit(node, live + scratch);
      if (address !== null) allocator.free(address);
      for (const buffer of ending.get(step) ?? []) {
        live -= bytesOf(buffer, sizes);
        const place = addresses.get(buffer);
        if (place !== undefined) allocator.free(place);
      }
    });
  }

  function timeline(symbols: Symbols): MemoryTimeline {
    const sizes = createSizes(symbols);
    const steps: MemoryStep[] = [];
    let [peakStep, peakLiveBytes] = [0, 0];
    run(sizes, createHeap(), (node, liveBytes) => {
      if (liveBytes > peakLiveBytes) [peakLiveBytes, peakStep] = [liveBytes, steps.length];
      steps.push({ node, liveBytes });
    });
    const aliveAtPeak = buffers
      .filter(({ from, until }) => from <= peakStep && peakStep <= until)
      .flatMap((buffer) => {
        // the value that lies there now
        const last = buffer.values.filter(({ producer }) => isBefore(producer, peakStep)).at(-1);
        return last ? [{ value: last, bytes: bytesOf(buffer, sizes) }] : [];
      })
      .toSorted((a, b) => b.bytes - a.bytes);
    return {
      steps,
      peakLiveBytes,
      peakStep,
      aliveAtPeak,
      // Takes longer than all the rest, and not everyone asks.
      get peakBytes() {
        return peakBytesOf([symbols]);
      },
    };
  }

  const positions = new Map(order.map((node, step) => [node, step]));
  const isBefore = (node: Node | null, step: number) => node !== null && (positions.get(node) ?? 0) <= step;

  function peakBytesOf(runs: readonly Symbols[]): number {
    const allocator = createAllocator();
    let peak = 0;
    for (let round = 0; round < rounds; round++) {
      for (const symbols of runs) {
        run(createSizes(symbols), allocator, () => (peak = Math.max(peak, allocator.heldBytes)));
      }
    }
    return peak;
  }

  return { timeline, peakBytesOf };
}

function bytesOf({ values: [first] }: Buffer, sizes: Sizes): number {
  return first ? sizes.bytes(first) : 0;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const list = groups.get(keyOf(item));
    if (list) list.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
