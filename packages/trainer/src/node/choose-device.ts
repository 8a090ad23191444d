import type { DeviceChoice } from '@musubi/config';
import type { MemoryPlan, Provider } from '@musubi/runtime';

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { RuntimeError, multipliesIn, runsOn } from '@musubi/runtime';
import { type ProviderProbe, findEngine, probeProvider } from '@musubi/runtime/node';

/** What a run computes on. */
export interface Device {
  readonly provider: Provider;
  readonly deviceId: number;
}

/** What is asked of the machine; tests give their own. */
export interface DeviceProbes {
  /** Whether the library of the CUDA provider lies beside the runtime, without which nothing need be tried. */
  hasCudaLibrary(): boolean;
  probe(device: Device): Promise<Pick<ProviderProbe, 'state' | 'reason'>>;
}

/**
 * The device of a run, tried with a small model in a process of its own; one line says which it is.
 *
 * `auto` is CUDA where it works, else the CPU: WebGPU may be a program that imitates a graphics processor, slower than the
 * CPU, so it is taken when it is named.
 *
 * @throws {RuntimeError} `PROVIDER_UNAVAILABLE` when the device that is named cannot be used, `BAD_OPTION` for the number
 *   of one that takes none
 */
export async function chooseDevice(
  { kind, index }: DeviceChoice,
  logger: (line: string) => void,
  probes: DeviceProbes = machineProbes(),
): Promise<Device> {
  if (index > 0 && kind !== 'cuda' && kind !== 'dml') {
    throw new RuntimeError(
      'BAD_OPTION',
      `device ${kind}:${index} cannot be chosen: ONNX Runtime takes a number for cuda and dml alone.`,
      `Leave the number out: ${kind}.`,
    );
  }
  const cpu = { provider: 'cpu', deviceId: 0 } as const;
  if (kind === 'cpu' || (kind === 'auto' && !probes.hasCudaLibrary())) {
    logger('device: cpu');
    return cpu;
  }
  const provider = kind === 'auto' ? 'cuda' : kind;
  const named = `${provider}${index > 0 ? `:${index}` : ''}`;
  const device = { provider, deviceId: index };
  const { state, reason } = await probes.probe(device);
  if (state === 'works') {
    logger(`device: ${named}`);
    return device;
  }
  const why = (reason ?? `the provider ${state}`).replace(/\.$/, '');
  if (kind === 'auto') {
    logger(`device: cpu, as cuda cannot be used here (${why}); musubi doctor says more.`);
    return cpu;
  }
  throw new RuntimeError('PROVIDER_UNAVAILABLE', `device ${named} cannot be used here: ${why}.`, remedies[provider]);
}

/**
 * What graphs are made for: WebGPU's operators serve DirectML and Core ML too; Core ML has operators of the standard alone;
 * gates of a card should not wait for the host. Where bfloat16 is unknown the host would widen 16-bit weights in each
 * step, so they are widened once, as the graph is loaded.
 */
export function graphFor({ provider }: Device, eightBitBase: object | null = null) {
  return {
    forWebGpu: provider === 'coreml' || !runsOn(provider, 'FusedMatMul'),
    gatesOnDevice: provider === 'cuda',
    fusedEvaluation: provider === 'cpu' || provider === 'cuda',
    widenAtLoad: eightBitBase === null && !hasBfloat16({ provider }),
  };
}

/** Whether a device knows bfloat16; weights in it would be widened on the host, those beside 8-bit ones in each step. */
export const hasBfloat16 = ({ provider }: Pick<Device, 'provider'>): boolean =>
  provider === 'cpu' || multipliesIn(provider, 'bfloat16');

/** The plan of a session whose graph leaves the widening of weights to the time it is loaded. */
export const foldingWeights = (memory: MemoryPlan, { widenAtLoad }: { readonly widenAtLoad: boolean }): MemoryPlan =>
  widenAtLoad ? { ...memory, foldConstants: true } : memory;

const remedies: Readonly<Record<Exclude<DeviceChoice['kind'], 'auto' | 'cpu'>, string>> = {
  cuda: 'Run musubi doctor, which says what is missing and can place the provider (--fix cuda), or use --device cpu.',
  webgpu: 'Run musubi doctor, which says what is missing, or use --device cpu.',
  dml: 'DirectML is part of onnxruntime-node on Windows alone. Use --device cpu or webgpu.',
  coreml: 'Core ML is part of onnxruntime-node on Macs alone. Use --device cpu or webgpu.',
};

function machineProbes(): DeviceProbes {
  const enginePath = findEngine().path;
  const folder = join(dirname(enginePath), '..', 'bin', 'napi-v6', process.platform, process.arch);
  return {
    hasCudaLibrary: () => existsSync(join(folder, 'libonnxruntime_providers_cuda.so')),
    probe: ({ provider, deviceId }) => probeProvider(provider, { enginePath, deviceId }),
  };
}
