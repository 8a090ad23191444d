import type { AttentionPlan, Graph, NarrowProductsOptions, Node } from '@musubi/onnx-graph';

import {
  computeRmsDeviations,
  fuseProducts,
  gateWeights,
  lowerAttention,
  mergeEqualNodes,
  narrowProducts,
  rewriteGraph,
} from '@musubi/onnx-graph';

import { AutodiffError } from './errors.ts';
import { recomputedBlocks } from './recomputed-blocks.ts';
import { vjp } from './vjp.ts';

export interface TrainingOptions {
  /** Name of the scalar output to minimize. */
  readonly loss: string;
  /** Names of the inputs to train. */
  readonly trainable: readonly string[];
  /** Recompute each block of the model in the backward pass instead of keeping what it computed. */
  readonly gradientCheckpointing?: boolean;
  /**
   * With `gradientCheckpointing`: recompute every how many blocks one, counted from the last, so that the last is kept
   * unless all are recomputed. Default 1: all.
   */
  readonly gradientCheckpointingEvery?: number;
  /**
   * How attention over the sequence is computed, by default whole. In pieces its memory grows with the sequence, not its
   * square: scores are computed a piece at a time, and again for the backward pass.
   */
  readonly attention?: AttentionPlan;
  /**
   * Use only operators that WebGPU computes, and computes right. Else products read transposed operands in place, as
   * `FusedMatMul` (com.microsoft), which the CPU and CUDA have, and the backward pass of an RMS normalization reads the
   * deviations of the forward pass. Default false.
   */
  readonly forWebGpu?: boolean;
  /**
   * The evaluation graph leaves attention to the provider's own operator where products are in float32. Default false: it is
   * computed as in the training graph.
   */
  readonly fusedEvaluation?: boolean;
  /**
   * 16-bit weights are to be widened when the graph is loaded, not in each step: for devices without their type. Default
   * false.
   */
  readonly widenAtLoad?: boolean;
  /** Matrix products in 16 bits; default: in float32. Gradients come out as float32. */
  readonly products?: NarrowProductsOptions;
  /**
   * Name of an input `[1]` by which all gradients are multiplied, so that small ones are not lost where products are in
   * float16; default: none.
   */
  readonly lossScale?: string;
}

/** Graphs of one training run, made only of operators that every stock ONNX Runtime build has. */
export interface TrainingGraphs {
  /** Batch and parameters in; the loss and `grad/<parameter>` for each trainable parameter out. */
  readonly training: Graph;
  /** Batch and parameters in, the loss out. */
  readonly evaluation: Graph;
}

/**
 * Derives the training graphs from a forward graph with a loss.
 *
 * 16-bit weights are widened inside the step, each when its product runs, and products read transposed operands in
 * place.
 *
 * @throws {AutodiffError} `UNKNOWN_NAME`, `NOT_DIFFERENTIABLE` when the loss is no scalar, `NO_GRADIENT_RULE`
 */
export function createTrainingGraphs(forward: Graph, options: TrainingOptions): TrainingGraphs {
  const { loss, trainable, attention = 'whole', lossScale } = options;
  const output = forward.outputs.find((o) => o.name === loss);
  if (output && output.value.shape.some((d) => d !== 1)) {
    throw new AutodiffError(
      'NOT_DIFFERENTIABLE',
      loss,
      `the loss has shape [${output.value.shape.join(', ')}].`,
      'Reduce it to one number.',
    );
  }
  const segmentOf = segmentsOf(forward, options);
  const planOf = (node: Node): AttentionPlan => (isOverSequence(node) ? attention : 'whole');
  // What is lowered now has its probabilities kept, or computed again with its block; the rest computes them again itself.
  const kept = (node: Node) =>
    attention === 'whole' || (segmentOf(node) !== undefined && !isOverSequence(node)) ? 'whole' : undefined;
  const { graph, gradients } = vjp(lowerAttention(forward, kept), [loss], trainable, {
    segmentOf,
    ...(lossScale === undefined ? {} : { scale: lossScale }),
    attention: (node) => {
      const plan = planOf(node);
      return plan === 'whole' ? { chunks: 1, rows: 1 } : plan;
    },
  });
  trainable.forEach((name, i) => {
    const gradient = gradients[i];
    if (gradient) graph.output(gradientName(name), gradient);
  });
  keepOutputs(graph, (name) => name === loss || name.startsWith('grad/'));
  const isFused = options.fusedEvaluation === true && (options.products?.dtype ?? 'float32') === 'float32';
  const { graph: evaluation } = rewriteGraph(forward);
  keepOutputs(evaluation, (name) => name === loss);
  return {
    training: lower(lowerAttention(graph, planOf), options),
    evaluation: lower(lowerAttention(evaluation, isFused ? 'fused' : planOf), options),
  };
}

/** The block that a node is recomputed with, or undefined. */
function segmentsOf(
  forward: Graph,
  { gradientCheckpointing = false, gradientCheckpointingEvery = 1 }: TrainingOptions,
): (node: Node) => string | undefined {
  return gradientCheckpointing ? recomputedBlocks(forward, gradientCheckpointingEvery) : () => undefined;
}

/** True where the number of keys is symbolic; scores against a fixed number of keys grow with the sequence as they are. */
const isOverSequence = ({ inputs }: Node): boolean => typeof inputs[1]?.shape[2] === 'string';

/** Name of the output that holds the gradient of a parameter. */
export const gradientName = (parameter: string): string => `grad/${parameter}`;

function lower(graph: Graph, options: TrainingOptions): Graph {
  const { forWebGpu = false, widenAtLoad = false, products = { dtype: 'float32' } } = options;
  const fused = forWebGpu ? fuseProducts(computeRmsDeviations(graph), { product: 'Gemm' }) : fuseProducts(graph);
  const narrowed = narrowProducts(fused, products);
  return mergeEqualNodes(widenAtLoad ? narrowed : gateWeights(narrowed));
}

function keepOutputs(graph: Graph, wanted: (name: string) => boolean): void {
  graph.outputs.splice(0, graph.outputs.length, ...graph.outputs.filter((o) => wanted(o.name)));
}
