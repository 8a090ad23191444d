import type { DeviceChoice } from '@musubi/config';

import { expect, test, vi } from 'vitest';

import { report } from './check-placement.ts';
import { type DeviceProbes, chooseDevice } from './choose-device.ts';

type State = Awaited<ReturnType<DeviceProbes['probe']>>['state'];

async function choose(kind: DeviceChoice['kind'], state: State, hasLibrary = true, index = 0) {
  const lines: string[] = [];
  const probe = vi.fn<DeviceProbes['probe']>(async () => ({ state, reason: state === 'works' ? null : 'no driver.' }));
  const device = await chooseDevice({ kind, index }, (line) => lines.push(line), {
    hasCudaLibrary: () => hasLibrary,
    probe,
  });
  return { device, lines, probe };
}

test('auto is CUDA where it works, else the CPU, in one line', async () => {
  expect(await choose('auto', 'works')).toMatchObject({ device: { provider: 'cuda' }, lines: ['device: cuda'] });
  expect(await choose('auto', 'fails')).toMatchObject({
    device: { provider: 'cpu' },
    lines: ['device: cpu, as cuda cannot be used here (no driver); musubi doctor says more.'],
  });
});

test('nothing is tried for the CPU, nor for CUDA whose library is not installed', async () => {
  for (const { device, probe } of [await choose('cpu', 'works'), await choose('auto', 'works', false)]) {
    expect(device).toEqual({ provider: 'cpu', deviceId: 0 });
    expect(probe).not.toHaveBeenCalled();
  }
});

test.each(['cuda', 'webgpu', 'dml', 'coreml'] as const)('%s is taken, or the run ends with a remedy', async (kind) => {
  expect((await choose(kind, 'works', false)).device.provider).toBe(kind);
  await expect(choose(kind, 'crashes')).rejects.toMatchObject({
    code: 'PROVIDER_UNAVAILABLE',
    message: expect.stringMatching(/^device \w+ cannot be used here: no driver\. .*--device cpu/),
  });
});

test('the second card', async () => {
  const { device, lines, probe } = await choose('cuda', 'works', true, 1);
  expect(device).toEqual({ provider: 'cuda', deviceId: 1 });
  expect(probe.mock.calls).toEqual([[device]]);
  expect(lines).toEqual(['device: cuda:1']);
  await expect(choose('cuda', 'fails', true, 7)).rejects.toThrow('device cuda:7 cannot be used here: no driver.');
});

test.each(['webgpu', 'coreml', 'auto', 'cpu'] as const)('%s takes no number, so that none is logged', async (kind) => {
  const refused = await choose(kind, 'works', true, 1).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'BAD_OPTION', remedy: `Leave the number out: ${kind}.` });
  expect((await choose(kind, 'works', true, 0)).lines.join()).not.toContain(':0');
});

test('operators left to the CPU are told, and refused with strict_device', () => {
  const placement = {
    nodes: { CPUExecutionProvider: 5, WebGpuExecutionProvider: 5 },
    onCpu: { Sign: 3 },
    shapeNodes: 2,
    copies: 6,
  };
  const lines: string[] = [];
  const options = {
    device: { provider: 'webgpu', deviceId: 0 },
    logger: (line: string) => void lines.push(line),
  } as const;
  report(placement, { ...options, isStrict: false });
  expect(lines).toEqual([
    'a step on webgpu: 10 nodes, 2 of shape arithmetic and 3 others on the CPU, 6 copies between host and device: 3 Sign',
  ]);
  report(placement, { ...options, isStrict: false, what: 'a run of the text encoder' });
  expect(lines.at(-1)).toMatch(/^a run of the text encoder on webgpu: 10 nodes/);
  report({ ...placement, onCpu: {} }, { ...options, isStrict: true });
  expect(() => report(placement, { ...options, isStrict: true })).toThrow(
    expect.objectContaining({ code: 'DEVICE_LEFT', facts: { option: 'strict_device', operators: ['Sign'] } }),
  );
});
