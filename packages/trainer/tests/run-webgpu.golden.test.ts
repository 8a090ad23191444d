import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { beforeAll, describe, expect, test } from 'vitest';

import { softwareVulkan } from '../../../scripts/lib/browser.mjs';
import { short, wanRuns } from './run-folder.ts';

const script = fileURLToPath(new URL('train-on-device.ts', import.meta.url));
const hasVulkan = process.platform === 'linux' && process.arch === 'x64';

/** Trains in a process of its own, which finds Vulkan in software in its environment. */
async function train(name: string, ...options: string[]): Promise<{ losses: number[]; lines: string[] }> {
  const args = ['--import', 'tsx', '--conditions=@musubi/source', script, name, ...options];
  const env = { ...process.env, ...(await softwareVulkan()) };
  const output = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, { env }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
  return JSON.parse(/^result (.*)$/m.exec(output)?.[1] ?? '{}') as { losses: number[]; lines: string[] };
}

// The npm package that brings a driver in software has one for Linux x64 alone.
// A base in bfloat16, as models are published: WebGPU knows no such numbers.
describe.runIf(hasVulkan).each(wanRuns.slice(0, 1))('the run %s on WebGPU in software', (name) => {
  let [cpu, webgpu]: number[][] = [[], []];
  let lines: string[] = [];

  beforeAll(async () => {
    ({ losses: cpu } = await train(name, `${short(2)} --device cpu`, 'BF16'));
    ({ losses: webgpu, lines } = await train(name, `${short(2)} --device webgpu --strict_device`, 'BF16'));
  }, 600_000);

  test('has the losses of the CPU', () => {
    expect(webgpu).toHaveLength(2);
    expect(webgpu).toBeAllClose(cpu!, { rtol: 1e-4 });
  });

  test('computes the whole step on the device', () => {
    expect(lines).toContain('device: webgpu');
    expect(lines.join('\n')).toMatch(/a step on webgpu: \d{3,} nodes, \d of shape arithmetic and no others on the CPU/);
    expect(lines.join('\n')).toMatch(/a step moves \d\.\d\d MB to webgpu and \d\.\d\d MB back/);
  });
});
