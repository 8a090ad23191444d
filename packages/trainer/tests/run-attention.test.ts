import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type FinishedRun, type RunFolder, openRunFolder, short, wanRuns } from './run-folder.ts';

describe.each(wanRuns)('attention of the run %s', (name) => {
  let folder: RunFolder;
  let whole: FinishedRun;

  beforeAll(async () => {
    folder = await openRunFolder(name);
    whole = await folder.run(`${short(4)} --attn_mode whole`);
  }, 120_000);
  afterAll(() => folder.close());

  test('is whole for short sequences, which one line says', async () => {
    const { losses, lines } = await folder.run(short(4));
    expect(losses).toEqual(whole.losses);
    expect(lines.filter((line) => line.startsWith('attention over'))).toEqual([
      expect.stringMatching(/^attention over \d+ tokens: whole \(all scores at once take 0\.0 of [\d.]+ GiB\)$/),
    ]);
  });

  test.each(['', '--gradient_checkpointing'])('in pieces gives the same losses %s', async (options) => {
    const { losses, lines } = await folder.run(`${short(4)} --attn_mode chunked --attn_chunk 5 ${options}`);
    expect(lines.join('\n')).toMatch(/^attention over \d+ tokens: \d+ pieces of 5 queries/m);
    expect(losses).toBeAllClose(whole.losses, { rtol: 1e-5 });
  });
});
