import type { OptionValues } from './option-values.ts';

/** What computes the model: `auto` is CUDA where it works and else the CPU. */
export interface DeviceChoice {
  readonly kind: (typeof deviceKinds)[number];
  /** Of several devices of a kind, from 0. */
  readonly index: number;
}

export const deviceKinds = ['auto', 'cpu', 'cuda', 'webgpu', 'dml', 'coreml'] as const;

/** Those that ONNX Runtime takes a number for; for WebGPU in Node.js it chooses the card itself. */
const numbered: readonly string[] = ['cuda', 'dml'];

/** Reads `cuda`, or `cuda:1` as PyTorch writes it. */
export function toDevice({ textOrNull, problem }: Pick<OptionValues, 'textOrNull' | 'problem'>): DeviceChoice {
  const written = textOrNull('device') ?? 'auto';
  const [, name, index = '0'] = /^([a-z]+)(?::(\d{1,3}))?$/.exec(written) ?? [];
  const kind = deviceKinds.find((known) => known === name);
  const remedy =
    name === 'mps' ? 'Write coreml, or cpu.' : `Write one of ${deviceKinds.join(', ')}, or cuda:1 for the second card.`;
  if (kind === undefined) problem('BAD_CHOICE', 'device', 'is not a device.', remedy);
  else if (Number(index) > 0 && !numbered.includes(kind)) {
    const whose = `takes no number: ONNX Runtime has one for ${numbered.join(' and ')} alone.`;
    problem('BAD_CHOICE', 'device', `${kind} ${whose}`, `Write ${kind}.`);
  }
  return { kind: kind ?? 'auto', index: Number(index) };
}
