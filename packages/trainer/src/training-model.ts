import type { Architecture } from '@musubi/models';
import type { DropoutFeeds, InjectedAdapter } from '@musubi/lora/graph';
import type { Adapter, DropoutOptions } from '@musubi/lora';
import type { AttentionPlan, Node, ParameterSource, ProductDtype, Value } from '@musubi/onnx-graph';

import { type TrainingGraphs, createTrainingGraphs } from '@musubi/autodiff';
import { loraParameters } from '@musubi/lora';
import { injectLora, planDropout } from '@musubi/lora/graph';
import { Graph, createParams, gateOnDevice, mergeEqualNodes, mul, reduceMean, sub } from '@musubi/onnx-graph';

import { lossScaleInput } from './loss-scale.ts';

export interface TrainingModelOptions<Config> {
  readonly architecture: Architecture<Config>;
  readonly config: Config;
  /** The base weights, where they lie. */
  readonly weights: ParameterSource;
  /** The adapter to train; its weights become inputs named like the keys of its file. */
  readonly adapter: Adapter;
  /** Frozen adapters, in place of merging them into the base (`--base_weights`). */
  readonly frozen?: readonly InjectedAdapter[];
  /** Recompute each block in the backward pass instead of keeping what it computed. */
  readonly gradientCheckpointing?: boolean;
  /** Recompute every how many blocks one, counted from the last. Default 1: all. */
  readonly gradientCheckpointingEvery?: number;
  /** Attention over the sequence with all scores at once (the default), or a piece of the queries at a time. */
  readonly attention?: AttentionPlan;
  /** Of the adapter to train. */
  readonly dropout?: DropoutOptions;
  /** What is done last to each graph, e.g. to compute with weights that are stored in 8 bits. */
  readonly lower?: LowerWeights;
  /** Use only operators that WebGPU computes, and computes right. Default false. */
  readonly forWebGpu?: boolean;
  /** Default false; true for devices with memory of their own, where what waits should not wait on the host. */
  readonly gatesOnDevice?: boolean;
  /** See `TrainingOptions`. */
  readonly widenAtLoad?: boolean;
  readonly fusedEvaluation?: boolean;
  /**
   * Number type of matrix products, default float32; the adapter, its gradients and what is between products are float32
   * always. With float16 the training graph takes `loss_scale` `[1]`, by which its gradients are multiplied.
   */
  readonly products?: ProductDtype;
}

/** A graph that computes the same with weights that lie in their file in another form. */
export type LowerWeights = (graph: Graph, weights: ParameterSource) => Graph;

export interface TrainingModel extends TrainingGraphs {
  /** Draws what the graphs take as masks; null when nothing is dropped. A mask of ones drops nothing. */
  readonly drawMasks: DropoutFeeds | null;
}

/**
 * The training graphs of a model with an adapter.
 *
 * Beside the model's own inputs they take `target` (in the layout of the prediction), `loss_weight` `[B, 1, 1]` and the
 * adapter's weights. `loss` is the mean of `loss_weight·(prediction − target)²` (Lipman et al. 2023, arXiv 2210.02747,
 * for the velocity target).
 */
export function createTrainingModel<Config>(options: TrainingModelOptions<Config>): TrainingModel {
  const { architecture, config, weights, adapter, frozen = [], dropout = {} } = options;
  const {
    gradientCheckpointing = false,
    gradientCheckpointingEvery = 1,
    attention = 'whole',
    lower = (graph) => graph,
    forWebGpu = false,
    gatesOnDevice = false,
    widenAtLoad = false,
    fusedEvaluation = false,
    products = 'float32',
  } = options;
  const finish = (graph: Graph) => {
    const lowered = lower(graph, weights);
    return mergeEqualNodes(gatesOnDevice ? gateOnDevice(lowered) : lowered);
  };
  const base = new Graph(architecture.longName);
  const { prediction } = architecture.build(createParams(base, weights), config);
  base.output(
    'loss',
    base.within('loss', () => flowMatchingLoss(prediction)),
  );
  const forward = injectLora(base, [...frozen, { adapter, dropout }]);
  const trainable = loraParameters(adapter).map(({ name }) => name);
  const { training, evaluation } = createTrainingGraphs(forward, {
    loss: 'loss',
    trainable,
    gradientCheckpointing,
    gradientCheckpointingEvery,
    attention,
    forWebGpu,
    widenAtLoad,
    fusedEvaluation,
    products: { dtype: products, stays: isIn(architecture.float32Parts) },
    ...(products === 'float16' ? { lossScale: lossScaleInput } : {}),
  });
  return {
    training: finish(training),
    evaluation: finish(evaluation),
    drawMasks: planDropout(forward, adapter, dropout),
  };
}

/** Whether a node, or that whose gradient it computes, was built in one of these parts of a model. */
const isIn =
  (parts: readonly string[]) =>
  ({ scope }: Node): boolean =>
    parts.includes(scope.replace(/^grad\//, '').split('/')[0] ?? '');

function flowMatchingLoss(prediction: Value): Value {
  const { graph, shape } = prediction;
  const difference = sub(prediction, graph.input('target', 'float32', shape));
  const weight = graph.input('loss_weight', 'float32', [shape[0] ?? 1, 1, 1]);
  return reduceMean(
    mul(mul(difference, difference), weight),
    shape.map((_, axis) => axis),
    false,
  );
}
