import type { CachingFailure } from '@musubi/dataset';
import type { Runtime } from '@musubi/runtime';

/** How far a caching run is. */
export interface CachingProgress {
  /** Items whose files are written. */
  readonly items: number;
  /** Items to be encoded, without those whose files are kept. */
  readonly totalItems: number;
}

export interface CachingHooks {
  /** Gets lines for the user: what is loaded, what to look at. */
  readonly logger?: (line: string) => void;
  /** Gets text that was asked for: pictures shown instead of encoded. Default: the logger. */
  readonly show?: (text: string) => void;
  /** That text goes to a terminal, where it may have colours. Default false. */
  readonly isTerminal?: boolean;
  /** At the start, and after each batch that is written. */
  readonly onProgress?: (progress: CachingProgress) => void;
  /** When aborted, the run finishes its batch and ends; nothing is removed then. */
  readonly signal?: AbortSignal;
  /** The runtime to use; by default one on onnxruntime-node is started, and closed at the end. */
  readonly runtime?: Runtime;
}

export interface CachingOutcome {
  readonly status: 'finished' | 'interrupted';
  /** Cache files written. */
  readonly written: number;
  /** Items whose files were there and are kept. */
  readonly kept: number;
  /** Cache files deleted, because they belonged to no item any more. */
  readonly removed: number;
  /** Items left out, in the order of the datasets; the others went on. The logger has got a line of each. */
  readonly failures: readonly CachingFailure[];
}
