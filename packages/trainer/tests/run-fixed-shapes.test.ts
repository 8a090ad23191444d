import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { mostSessions } from '../src/node/fixed-shapes.ts';
import { type FinishedRun, type RunFolder, openRunFolder, short, wanRuns } from './run-folder.ts';

const gigabyte = 2 ** 30;

describe.each(wanRuns)('fixed shapes in the run %s', (name) => {
  let folder: RunFolder;
  let dynamic: FinishedRun;

  beforeAll(async () => {
    folder = await openRunFolder(name);
    dynamic = await folder.run(short(12));
  }, 120_000);
  afterAll(() => folder.close());

  test.each(['', '--gradient_checkpointing', '--attn_mode chunked --attn_chunk 5'])(
    'give the losses of one graph for all %s',
    async (options) => {
      const { losses, lines } = await folder.run(`${short(12)} --compile --compile_dynamic false ${options}`);
      expect(losses).toBeAllClose(dynamic.losses, { rtol: 1e-5 });
      const told = lines.filter((line) => line.startsWith('graph of fixed shapes'));
      expect(told.length).toBeGreaterThan(0);
      expect(new Set(told).size).toBe(told.length);
      for (const line of told) expect(line).toMatch(/^graph of fixed shapes for B \d+, S \d+$/);
    },
  );

  test.each(['', '--compile --compile_dynamic true', '--compile --compile_dynamic auto', '--compile_dynamic false'])(
    'are not made with "%s"',
    async (options) => {
      const { losses, lines } = await folder.run(`${short(2)} ${options}`);
      expect(losses).toEqual(dynamic.losses.slice(0, losses.length));
      expect(lines.join('\n')).not.toContain('fixed shapes');
    },
  );
});

describe('sessions open at once', () => {
  const of = (gigabytes: number) => ({
    weights: new Map([['w', { byteLength: gigabytes * gigabyte }]]) as unknown as Parameters<
      typeof mostSessions
    >[2]['weights'],
  });

  test.each([
    ['a device has the weights of each', 'cuda', false, 1, 1],
    ['weights stay in their files', 'cpu', false, 28, 4],
    ['packed weights take a quarter of the memory', 'cpu', true, 2, 2],
    ['small ones do not count', 'cpu', true, 0.1, 4],
    ['one there always is', 'cpu', true, 28, 1],
  ] as const)('%s', (_, provider, prepackWeights, gigabytes, most) => {
    expect(mostSessions(provider, { prepackWeights }, of(gigabytes), 32 * gigabyte)).toBe(most);
  });
});
