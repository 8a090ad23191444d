import type { TensorStore } from '@musubi/safetensors';

/** A model whose files are found right, before it takes time and memory. */
export interface Openable<Model> {
  /** All that its results depend on. */
  readonly files: readonly string[];
  open(): Promise<Model>;
}

/** The file of a checkpoint, or all of its shards. */
export function filesOf({ tensors }: Pick<TensorStore, 'tensors'>): string[] {
  return [...new Set(Array.from(tensors.values(), ({ source }) => source))];
}
