export type {
  DeviceRun,
  DeviceTensor,
  ExternalContent,
  Feed,
  Provider,
  Runtime,
  RuntimeInfo,
  Session,
  SessionRequest,
  UrlRange,
  WebGpuFeatures,
} from './types.ts';
export { type OrtModule, type RuntimeOptions, createRuntime } from './create-runtime.ts';
export { type MemoryFacts, type MemoryPlan, defaultMemoryPlan, planMemory } from './memory-plan.ts';
export { type ProductsProbe, probeProducts } from './probe-products.ts';
export { type MissingKernel, cudaKernels, missingCudaKernels } from './cuda-kernels.ts';
export { hasFloat8, multipliesIn, providerOperators, runsOn } from './provider-operators.ts';
export { type Placement, describeOperators, readPlacement } from './placement.ts';
export { toSessionOptions } from './session-options.ts';
export { type ExternalTensor, externalTensors, relocateExternalData } from './external-data.ts';
export {
  RuntimeError,
  type RuntimeErrorCode,
  type RuntimeErrorFacts,
  isRuntimeError,
  runtimeErrorCodes,
} from './error.ts';
