import type { Runtime } from '@musubi/runtime';

import type { BatchReport } from '../train.ts';

/** What is known after a batch. */
export interface TrainStep extends BatchReport {
  readonly totalSteps: number;
  readonly totalEpochs: number;
  readonly groupNames: readonly string[];
}

export type TrainEvent =
  | { readonly type: 'start'; readonly totalSteps: number; readonly totalEpochs: number }
  | { readonly type: 'epoch'; readonly epoch: number; readonly totalEpochs: number }
  | { readonly type: 'epoch-end'; readonly epoch: number; readonly averageLoss: number }
  | { readonly type: 'saved'; readonly path: string; readonly step: number }
  | { readonly type: 'removed'; readonly path: string };

export interface RunHooks {
  /** Gets lines for the user: what is loaded, what to look at. */
  readonly logger?: (line: string) => void;
  /** After each batch. */
  readonly onStep?: (step: TrainStep) => void;
  readonly onEvent?: (event: TrainEvent) => void;
  /** When aborted, the run finishes its optimizer step, saves the adapter and ends. */
  readonly signal?: AbortSignal;
  /** The runtime to use; by default one on onnxruntime-node is started, and closed at the end. */
  readonly runtime?: Runtime;
}

export interface TrainOutcome {
  readonly status: 'finished' | 'interrupted';
  /** The adapter saved last; null when the run was interrupted before its first step. */
  readonly path: string | null;
  /** Completed optimizer steps. */
  readonly steps: number;
}
