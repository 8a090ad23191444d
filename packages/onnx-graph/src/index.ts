export {
  type Dim,
  type Shape,
  dimAdd,
  dimDivide,
  dimMin,
  dimMul,
  dimSub,
  elementCount,
  evaluateDim,
  formatShape,
} from './dim.ts';
export {
  type DataType,
  type HostTensor,
  type TypedArray,
  bytesPerElement,
  dataTypes,
  fromSafetensors,
  isFloat,
  onnxCode,
} from './dtype.ts';
export { GraphError, type GraphErrorCode } from './errors.ts';
export {
  type AttributeValue,
  type Attributes,
  type ExternalData,
  Graph,
  type Node,
  type NodeOptions,
  type TensorType,
  type Value,
  inlineLimitBytes,
} from './graph.ts';
export { type OperatorSpec } from './operators/infer.ts';
export { operators } from './operators/table.ts';
export * from './ops.ts';
export { type ParameterSource, type Params, createParams, embedding, linear } from './params.ts';
export { type StoredParameter, type WeightInFile, weightInFile, wideWeight } from './strided-weight.ts';
export { decodeModel } from './decode.ts';
export { type EncodeOptions, encodeModel } from './encode.ts';
export { type FuseOptions, fuseProducts } from './passes/fuse-products.ts';
export { gateOnDevice } from './passes/gate-on-device.ts';
export {
  type AttentionChunks,
  type AttentionPlan,
  type ForwardAttentionPlan,
  attentionRows,
  lowerAttention,
} from './passes/lower-attention.ts';
export { gate, gateAll, gateWeights } from './passes/gate.ts';
export { mergeEqualNodes } from './passes/merge-equal-nodes.ts';
export { type NarrowProductsOptions, type ProductDtype, narrowProducts } from './passes/narrow-products.ts';
export { computeRmsDeviations } from './passes/rms-deviations.ts';
export { type Rewriter, type Visit, consumersOf, copyNode, nodesNeeded, rewriteGraph } from './rewrite.ts';
