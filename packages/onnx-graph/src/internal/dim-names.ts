import type { Graph } from '../graph.ts';

/** The name that a symbolic length has in the file, for a value of a node in `scope`. */
export type DimNames = (dim: string, scope: string) => string;

/**
 * How lengths are named in the file of a graph.
 *
 * ONNX Runtime plans that a later value takes over the memory of an earlier one of the same shape, as it is written, and
 * keeps that memory until then, however long. Where blocks are computed again, lengths are named with their block, apart for
 * the forward and the backward pass, so that what a block leaves is free at once: attention in pieces takes 3/4 of the
 * memory. Elsewhere blocks are better off with each other's memory: a plain step of 512 tokens takes 5/6 of it. Pieces of
 * attention are so many that theirs are named with their scope in any case.
 */
export function dimNames({ nodes }: Pick<Graph, 'nodes'>): DimNames {
  const isRecomputed = nodes.some(({ scope }) => scope.startsWith('again/'));
  return (dim, scope) => {
    const place = dim.includes('min(') ? scope : isRecomputed ? blockOf(scope) : '';
    return place === '' ? dim : `${dim}@${place}`;
  };
}

/** `again/blocks.3/ffn` and `grad/blocks.3` are in the backward pass of `blocks.3`. */
function blockOf(scope: string): string {
  const parts = scope.split('/');
  const isBackward = parts[0] === 'again' || parts[0] === 'grad';
  const block = parts[isBackward ? 1 : 0] ?? '';
  if (!/\.\d+$/.test(block)) return '';
  return isBackward ? `grad/${block}` : block;
}
