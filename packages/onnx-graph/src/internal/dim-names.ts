/**
 * The name that a symbolic length has in the file, for a value of a node in `scope`.
 *
 * ONNX Runtime plans that a later value takes over the memory of an earlier one of the same shape, as it is written, and
 * keeps that memory until then, however long. So lengths are named with their block, apart for the forward and the backward
 * pass, and what a block leaves is free at once: a plain step of 2048 tokens takes 0.88 of the time, one with checkpointing
 * and attention in pieces 3/4 of the memory (a plain one of 512 tokens takes more, 469 MiB in place of 387). Pieces of
 * attention are so many that theirs are named with their scope.
 */
export const dimName = (dim: string, scope: string): string => {
  const place = dim.includes('min(') ? scope : blockOf(scope);
  return place === '' ? dim : `${dim}@${place}`;
};

/** `again/blocks.3/ffn` and `grad/blocks.3` are in the backward pass of `blocks.3`. */
function blockOf(scope: string): string {
  const parts = scope.split('/');
  const isBackward = parts[0] === 'again' || parts[0] === 'grad';
  const block = parts[isBackward ? 1 : 0] ?? '';
  if (!/\.\d+$/.test(block)) return '';
  return isBackward ? `grad/${block}` : block;
}
