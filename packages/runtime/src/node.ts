export { type NodeRuntimeOptions, createNodeRuntime } from './node/create-node-runtime.ts';
export { type Engine, engineVersion, findEngine } from './node/engine.ts';
export { resolveExternalFiles } from './node/external-files.ts';
export { machineMemory } from './node/machine-memory.ts';
export {
  type CardMemory,
  type CardQuestion,
  type NvidiaCard,
  type RunProgram,
  cardMemory,
  listNvidiaCards,
} from './node/nvidia-cards.ts';
export { type ProbeOptions, type ProviderProbe, listProviders, probeProvider } from './node/probe-provider.ts';
