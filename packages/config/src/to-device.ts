import type { OptionValues } from './option-values.ts';

/** What computes the model: `auto` is CUDA where it works and else the CPU. */
export interface DeviceChoice {
  readonly kind: (typeof deviceKinds)[number];
  /** Of several devices of a kind, from 0. */
  readonly index: number;
}

export const deviceKinds = ['auto', 'cpu', 'cuda', 'webgpu', 'dml', 'coreml'] as const;

/** Reads `cuda`, or `cuda:1` as PyTorch writes it. */
export function toDevice({ textOrNull, problem }: Pick<OptionValues, 'textOrNull' | 'problem'>): DeviceChoice {
  const written = textOrNull('device') ?? 'auto';
  const [, name, index = '0'] = /^([a-z]+)(?::(\d+))?$/.exec(written) ?? [];
  const kind = deviceKinds.find((known) => known === name);
  const remedy =
    name === 'mps' ? 'Write coreml, or cpu.' : `Write one of ${deviceKinds.join(', ')}, or cuda:1 for the second card.`;
  if (kind === undefined) problem('BAD_CHOICE', 'device', 'is not a device.', remedy);
  else if (Number(index) > 0 && kind !== 'cuda' && kind !== 'dml') {
    problem('BAD_CHOICE', 'device', `${kind} has no number.`, `Write ${kind}.`);
  }
  return { kind: kind ?? 'auto', index: Number(index) };
}
