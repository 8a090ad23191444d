import type { InferenceSession } from 'onnxruntime-common';

import type { MemoryPlan } from './memory-plan.ts';
import type { ExternalContent, Provider, SessionRequest } from './types.ts';

import { defaultMemoryPlan } from './memory-plan.ts';

/** ONNX Runtime prints what it also throws; only what would end the process is left to it. */
const fatal = 4;

/** The options of ONNX Runtime for a request. Unknown keys in `extra` are ignored without a word, so they are tested. */
export function toSessionOptions(request: SessionRequest): InferenceSession.SessionOptions {
  const { memory = defaultMemoryPlan, providers = ['cpu'], externalData, profileFilePrefix, deviceId = 0 } = request;
  return {
    executionProviders: providers.map((name) => executionProvider(name, deviceId)),
    executionMode: 'sequential',
    // Our graphs come with their products fused. By default not more: higher levels fuse other nodes of a forward pass when nothing keeps their
    // values, so that a checkpointed step would round differently from a plain one.
    graphOptimizationLevel: request.optimization ?? 'basic',
    enableCpuMemArena: memory.arena,
    enableMemPattern: memory.memoryPattern,
    ...(memory.threads === undefined ? {} : { intraOpNumThreads: memory.threads }),
    logSeverityLevel: fatal,
    ...(profileFilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix }),
    ...(request.keepOnDevice ? { preferredOutputLocation: onDevice(request.keepOnDevice) } : {}),
    ...(externalData ? { externalData: contents(externalData) } : {}),
    extra: extraOptions(
      memory,
      request.externalDataFolder,
      request.onDeviceOnly === true && !providers.includes('cpu'),
      providers.includes('cuda'),
    ),
  };
}

const onDevice = (names: readonly string[]): Record<string, 'gpu-buffer'> =>
  Object.fromEntries(names.map((name) => [name, 'gpu-buffer']));

/** Providers that take a `deviceId`, which is all that the binding for Node.js passes to CUDA. */
const hasDevices: ReadonlySet<string> = new Set<Provider>(['cuda', 'dml']);

/** What ONNX Runtime is told of a provider: its name, and which of its devices where that is not the first. */
export const executionProvider = (name: string, deviceId = 0): string | { name: string; deviceId: number } =>
  deviceId > 0 && hasDevices.has(name) ? { name, deviceId } : name;

/** Other contents have become bytes when a request comes here. */
function contents(externalData: Readonly<Record<string, ExternalContent>>) {
  return Object.entries(externalData).map(([path, data]) => ({ path, data: data as Uint8Array }));
}

function extraOptions(
  memory: MemoryPlan,
  folder: string | undefined,
  refusesCpu: boolean,
  hasCard: boolean,
): Record<string, Record<string, string>> {
  return {
    session: {
      disable_prepacking: memory.prepackWeights ? '0' : '1',
      ...(refusesCpu ? { disable_cpu_ep_fallback: '1' } : {}),
      // else weights lie in the arena of the card, which grows by powers of two
      ...(hasCard ? { use_device_allocator_for_initializers: '1' } : {}),
      ...(folder === undefined ? {} : { model_external_initializers_file_folder_path: folder }),
    },
    // ReshapeFusion takes the gates of graphs with fixed shapes for its own, and breaks where two share their Concat.
    optimization: {
      disable_specified_optimizers: [...(memory.foldConstants ? [] : ['ConstantFolding']), 'ReshapeFusion'].join(';'),
    },
  };
}
