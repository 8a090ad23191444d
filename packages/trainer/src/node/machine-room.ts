import { type CardMemory, cardMemory, machineMemory } from '@musubi/runtime/node';

import type { AttentionRoom } from '../plan-attention.ts';
import type { Device } from './choose-device.ts';

/**
 * What every WebGPU device offers for one buffer (WebGPU, §3.6.2 "limits"). Cards have more, but the binding for Node.js does
 * not say how much, and a step with a larger tensor than its card takes fails. The 128 MiB of a binding do not matter: ONNX
 * Runtime 1.30 binds a larger buffer in parts, which shaders have places for where these are two.
 */
const bufferOfWebGpu = 256 * 2 ** 20;

/** The memory of the device, where it is a card that says what it has: only CUDA's do. */
export const askCard = async ({ provider, deviceId }: Device, ask = cardMemory): Promise<CardMemory | null> =>
  provider === 'cuda' ? ask(deviceId) : null;

/** What this machine and this device have for scores. The memory of a card that says nothing is taken to be the machine's. */
export const machineRoom = (
  { provider }: Pick<Device, 'provider'>,
  card: Pick<CardMemory, 'totalBytes'> | null,
): AttentionRoom => ({
  ...(card === null
    ? { totalMemoryBytes: machineMemory() }
    : { totalMemoryBytes: card.totalBytes, isOfCard: true as const }),
  ...(provider === 'webgpu' ? { largestTensorBytes: bufferOfWebGpu } : {}),
});
