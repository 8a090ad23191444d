export type { ExternalContent, Provider, Runtime, RuntimeInfo, Session, SessionRequest, UrlRange } from './types.ts';
export { type OrtModule, type RuntimeOptions, createRuntime } from './create-runtime.ts';
export { type MemoryFacts, type MemoryPlan, defaultMemoryPlan, planMemory } from './memory-plan.ts';
export { providerOperators, hasFloat8, runsOn } from './provider-operators.ts';
export { toSessionOptions } from './session-options.ts';
export { type ExternalTensor, externalTensors, relocateExternalData } from './external-data.ts';
export {
  RuntimeError,
  type RuntimeErrorCode,
  type RuntimeErrorFacts,
  isRuntimeError,
  runtimeErrorCodes,
} from './error.ts';
