import type { TrainConfig } from '@musubi/config';

/** What is known after one batch. */
export interface TrainStep {
  /** Completed optimizer steps, this batch included. */
  readonly step: number;
  readonly totalSteps: number;
  /** From 1. */
  readonly epoch: number;
  readonly totalEpochs: number;
  /** Loss of this batch. */
  readonly loss: number;
  readonly averageLoss: number;
  /** Rates of the parameter groups after the schedule moved on. */
  readonly learningRates: readonly number[];
  readonly groupNames: readonly string[];
  /** Norm of all gradients before clipping; null when this batch completes no optimizer step. */
  readonly gradientNorm: number | null;
}

export type TrainEvent =
  | { readonly type: 'start'; readonly totalSteps: number; readonly totalEpochs: number }
  | { readonly type: 'epoch'; readonly epoch: number; readonly totalEpochs: number }
  | { readonly type: 'epoch-end'; readonly epoch: number; readonly averageLoss: number }
  | { readonly type: 'saved'; readonly path: string; readonly step: number }
  | { readonly type: 'removed'; readonly path: string };

export interface TrainHooks {
  /** Lines for the user. */
  readonly logger: (line: string) => void;
  readonly onStep: (step: TrainStep) => void;
  readonly onEvent: (event: TrainEvent) => void;
  /** When aborted, the run finishes its optimizer step, saves the adapter and ends. */
  readonly signal: AbortSignal;
}

export interface TrainOutcome {
  readonly status: 'finished' | 'interrupted';
  /** The adapter saved last. */
  readonly path: string;
  readonly steps: number;
}

/** What the command line needs of a trainer. */
export interface Trainer {
  runTraining(config: TrainConfig, hooks: TrainHooks): Promise<TrainOutcome>;
}
