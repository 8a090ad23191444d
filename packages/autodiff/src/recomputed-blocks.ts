import type { Graph, Node } from '@musubi/onnx-graph';

import { AutodiffError } from './errors.ts';

/** The block of a model that a node was built in: the first part of its scope that ends in a number, e.g. `blocks.3`. */
export const blockOf = (node: Node): string | undefined => /^[^/]*\.\d+(?=\/|$)/.exec(node.scope)?.[0];

/**
 * The segments of activation checkpointing where only every n-th block is recomputed: the block of a node that is, or
 * undefined.
 *
 * Blocks are counted from the last. It is the first that the backward pass needs, when the memory of all that is kept is
 * still taken; recomputing it would add to that.
 *
 * @throws {AutodiffError} `BAD_OPTION` when `every` is no positive integer
 */
export function recomputedBlocks(graph: Graph, every: number): (node: Node) => string | undefined {
  if (!Number.isSafeInteger(every) || every < 1) {
    throw new AutodiffError(
      'BAD_OPTION',
      'gradientCheckpointingEvery',
      `${every} is no positive integer.`,
      'Use 1 to recompute all blocks, 2 for every second one.',
    );
  }
  const blocks = [...new Set(graph.nodes.flatMap((node) => blockOf(node) ?? []))];
  const recomputed = new Set(blocks.filter((_, i) => (blocks.length - i) % every === 0));
  return (node) => {
    const block = blockOf(node);
    return block !== undefined && recomputed.has(block) ? block : undefined;
  };
}
