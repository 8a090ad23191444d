import type { Graph } from '@musubi/onnx-graph';

/** A float32 tensor of a checkpoint. */
export interface CheckpointTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Where a run stands. */
export interface Checkpoint {
  /** The trainable parameters by name. */
  readonly parameters: ReadonlyMap<string, CheckpointTensor>;
  /** Tensors that the optimizer remembers, e.g. moments. */
  readonly optimizer: ReadonlyMap<string, CheckpointTensor>;
  /** Numbers that the optimizer remembers, e.g. its step counter. */
  readonly optimizerNumbers: Readonly<Record<string, number>>;
}

/**
 * All that continues a training run on any ONNX Runtime, under the names of ONNX Runtime's on-device training:
 * `training_model.onnx`, `eval_model.onnx`, `optimizer_model.onnx` and the folder `checkpoint`.
 */
export interface TrainingArtifacts {
  /** Batch and parameters in, the loss and one gradient a parameter out. */
  readonly training: Graph;
  /** Batch and parameters in, the loss out. */
  readonly evaluation: Graph;
  /** One optimizer step, for providers where state can stay on the device. */
  readonly optimizer: Graph;
  readonly checkpoint: Checkpoint;
  /** The files in which the graphs' frozen weights lie: location in the graphs to path. They are not part of the folder. */
  readonly weightFiles: Readonly<Record<string, string>>;
}

export const artifactFiles = {
  training: 'training_model.onnx',
  evaluation: 'eval_model.onnx',
  optimizer: 'optimizer_model.onnx',
  parameters: 'checkpoint/model.safetensors',
  optimizerState: 'checkpoint/optimizer.safetensors',
  state: 'checkpoint/state.json',
} as const;

/** Version of the folder's layout. */
export const artifactFormat = 1;
