import type { DeviceTensor } from '../types.ts';
import type { KeptHandle } from './protocol.ts';

/** The worker's list of the tensors that its callers know by a number. */
export interface Handles {
  /** @param session of which they are outputs */
  add(session: number, tensors: Readonly<Record<string, DeviceTensor>>): Record<string, KeptHandle>;
  find(handle: number): DeviceTensor;
  /** Releases them; unknown ones went with their session. */
  free(handles: readonly number[]): Promise<void>;
  /** Those of a session, which releases them itself. */
  forget(session: number): void;
}

export function createHandles(): Handles {
  const tensors = new Map<number, { readonly tensor: DeviceTensor; readonly session: number }>();
  let next = 1;
  return {
    add(session, named) {
      const entries = Object.entries(named).map(([name, tensor]): [string, KeptHandle] => {
        const handle = next++;
        tensors.set(handle, { tensor, session });
        return [name, { handle, dtype: tensor.dtype, shape: tensor.shape }];
      });
      return Object.fromEntries(entries);
    },
    find(handle) {
      const found = tensors.get(handle);
      if (!found) throw new Error(`no tensor ${handle}`);
      return found.tensor;
    },
    async free(handles) {
      const found = handles.flatMap((handle) => tensors.get(handle)?.tensor ?? []);
      for (const handle of handles) tensors.delete(handle);
      await Promise.all(found.map((tensor) => tensor.release()));
    },
    forget(session) {
      for (const [handle, entry] of tensors) if (entry.session === session) tensors.delete(handle);
    },
  };
}
