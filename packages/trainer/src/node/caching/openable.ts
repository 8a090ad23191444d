import type { TensorStore } from '@musubi/safetensors';

/** A model whose files are found right, before it takes time and memory. */
export interface Openable<Model> {
  /** All that its results depend on. */
  readonly files: readonly string[];
  /** Calling it again gives the same. */
  open(): Promise<Model>;
}

/** The file of a checkpoint, or all of its shards. */
export function filesOf({ tensors }: Pick<TensorStore, 'tensors'>): string[] {
  return [...new Set(Array.from(tensors.values(), ({ source }) => source))];
}

/** Opens at the first call: a run without anything to encode loads no model. */
export function once<Model>(open: () => Promise<Model>): () => Promise<Model> {
  let opened: Promise<Model> | undefined;
  return () => (opened ??= open());
}
