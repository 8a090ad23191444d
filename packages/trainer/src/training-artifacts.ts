import type { TrainingArtifacts, TrainingGraphs } from '@musubi/autodiff';
import type { Adapter } from '@musubi/lora';
import type { Optimizer } from '@musubi/optimizers';
import type { AdamwGraphGroup, AdamwGraphOptions } from '@musubi/optimizers/graph';

import { loraParameters } from '@musubi/lora';
import { adamwGraph } from '@musubi/optimizers/graph';

export interface TrainingArtifactsOptions {
  readonly graphs: TrainingGraphs;
  readonly adapter: Adapter;
  /** AdamW; its state goes into the checkpoint. */
  readonly optimizer: Optimizer;
  readonly adamw?: AdamwGraphOptions;
  /** Parameters with a learning rate of their own; default: all in one. */
  readonly groups?: readonly AdamwGraphGroup[];
  /** Location of weights in the graphs to the path of their file. */
  readonly weightFiles: Readonly<Record<string, string>>;
}

/**
 * The training artifacts of a run, to be written with `writeTrainingArtifacts` of `@musubi/autodiff/node`: another
 * program, on any ONNX Runtime, goes on from them with three files and no code of ours.
 *
 * A step is: run `training_model` on a batch and the parameters; feed its gradients, the parameters, moments, step number
 * and learning rates to `optimizer_model`; its outputs `new/…` take the places of its inputs.
 */
export function createTrainingArtifacts(options: TrainingArtifactsOptions): TrainingArtifacts {
  const parameters = loraParameters(options.adapter);
  const { tensors, numbers } = options.optimizer.state();
  return {
    ...options.graphs,
    optimizer: adamwGraph(options.groups ?? [{ parameters }], options.adamw),
    checkpoint: {
      parameters: new Map(parameters.map(({ name, shape, data }) => [name, { shape, data }])),
      optimizer: tensors,
      optimizerNumbers: numbers,
    },
    weightFiles: options.weightFiles,
  };
}
