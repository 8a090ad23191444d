import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { beforeAll, describe, expect, test } from 'vitest';

import { softwareVulkan } from '../../../scripts/lib/browser.mjs';
import { short, wanRuns } from './run-folder.ts';
import type { Trained, Training } from './train-on-device.ts';

const script = fileURLToPath(new URL('train-on-device.ts', import.meta.url));
const hasVulkan = process.platform === 'linux' && process.arch === 'x64';

/** Bases of which WebGPU does not know the numbers. */
const bases: readonly (Omit<Training, 'run'> & { base: string; steps: number; rtol: number })[] = [
  { base: 'bfloat16, as models are published', options: '', dtype: 'BF16', steps: 2, rtol: 1e-4 },
  { base: 'FP8 of bfloat16', options: '--fp8_base --fp8_scaled', dtype: 'BF16', steps: 1, rtol: 1e-4 },
  // On the CPU the 8-bit product rounds activations to 8 bits too.
  { base: 'int8', options: '--int8_base', steps: 1, rtol: 1e-3 },
];
const cases = wanRuns.slice(0, 1).flatMap((run) => bases.map((base, i) => ({ ...base, run, i })));

const on = (device: string): Training[] =>
  cases.map(({ options, steps, ...training }) => ({
    ...training,
    options: `${short(steps)} --device ${device} ${options}`,
  }));

/** Trains in a process of its own, which finds Vulkan in software in its environment. */
async function train(trainings: readonly Training[]): Promise<Trained[]> {
  const args = ['--import', 'tsx', '--conditions=@musubi/source', script, JSON.stringify(trainings)];
  const env = { ...process.env, ...(await softwareVulkan()) };
  const output = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, { env }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
  const result: unknown = JSON.parse(/^result (.*)$/m.exec(output)?.[1] ?? 'null');
  if (!Array.isArray(result)) throw new Error(`no run came to its end: ${JSON.stringify(result)}`);
  return result as Trained[];
}

// The npm package that brings a driver in software has one for Linux x64 alone.
describe.runIf(hasVulkan)('on WebGPU in software', () => {
  let [cpu, webgpu]: Trained[][] = [[], []];

  beforeAll(async () => {
    cpu = await train(on('cpu'));
    webgpu = await train(on('webgpu --strict_device'));
  }, 600_000);

  test.each(cases)('the run $run with a base in $base has the losses of the CPU', ({ i, steps, rtol }) => {
    expect(webgpu![i]?.losses).toHaveLength(steps);
    expect(webgpu![i]!.losses).toBeAllClose(cpu![i]!.losses, { rtol });
  });

  test.each(cases)('the run $run with a base in $base computes the whole step on the device', ({ i }) => {
    const lines = webgpu![i]?.lines ?? [];
    expect(lines).toContain('device: webgpu');
    expect(lines.join('\n')).toMatch(
      /a step on webgpu: \d{3,} nodes, \d+ of shape arithmetic and no others on the CPU/,
    );
    expect(lines.join('\n')).toMatch(/a step moves \d\.\d\d MB to webgpu and \d\.\d\d MB back/);
  });
});
