import type { Runtime } from '@musubi/runtime';

import { readdir, rename, stat, utimes, writeFile } from 'node:fs/promises';

import { createNodeRuntime } from '@musubi/runtime/node';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type RunFolder, openRunFolder, readStore, rewriteTensors, short, wanRuns, writePth } from './run-folder.ts';

/** Files with 8-bit weights in a folder. */
const made = async (where: string) => (await readdir(where)).filter((file) => /\.(?:fp8|int8)[-.]/.test(file));

describe.each(wanRuns.slice(0, 1))('8-bit bases of runs like %s', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  let plain: readonly number[];

  beforeAll(async () => {
    folder = await openRunFolder(name);
    runtime = await createNodeRuntime();
    plain = (await folder.run(short(2), { runtime })).losses;
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  const run = (options: string, steps = 2) => folder.run(`${short(steps)} ${options}`, { runtime });

  test.each([
    ['--fp8_base --fp8_scaled', 0.05],
    ['--fp8_base --fp8_scaled --fp8_format e5m2 --fp8_quant_mode channel', 0.1],
    ['--fp8_base --fp8_scaled --fp8_block_size 32 --gradient_checkpointing', 0.05],
    ['--fp8_base', 0.2],
    ['--int8_base', 0.01],
    ['--int8_base --gradient_checkpointing', 0.01],
  ])('%s trains with a loss near that of the checkpoint', async (options, rtol) => {
    const { losses } = await run(`${options} --fp8_cache_dir near`);
    expect(losses).toBeAllClose(plain, { rtol });
    expect(losses).not.toEqual(plain);
  });

  test('the file is made once, beside the checkpoint, and says what it is', async () => {
    const first = await run('--fp8_base --fp8_scaled');
    const [file, ...others] = await made('.');
    expect(others).toEqual([]);
    expect(file).toMatch(/^dit\.fp8-e4m3-block64-[0-9a-f]{12}\.safetensors$/);
    expect(first.lines.join('\n')).toMatch(/8-bit base weights are written to .*\n\d+ weights in 8 bits/);
    const { ino } = await stat(file!);

    const second = await run('--fp8_base --fp8_scaled');
    expect(second.losses).toEqual(first.losses);
    expect((await stat(file!)).ino).toBe(ino);
    expect(second.lines.some((line) => line.includes('are written to'))).toBe(false);

    const store = await openSafetensorsFile(second.outcome.path!);
    expect(store.metadata).toMatchObject({ ss_fp8_base: 'True' });
    await store.close();
  });

  test('a block size that does not divide the rows gives the numbers of channels, and each run says so', async () => {
    const options = '--fp8_base --fp8_scaled --fp8_cache_dir rows';
    const channels = await run(`${options} --fp8_quant_mode channel`, 1);
    for (const when of ['first', 'second']) {
      const { losses, lines } = await run(`${options} --fp8_block_size 7`, 1);
      expect(losses, when).toEqual(channels.losses);
      const said = lines.filter((line) => line.startsWith('fp8_block_size 7 does not divide the rows of '));
      expect(said, when).toHaveLength(1);
    }
    expect(channels.lines.join('\n')).not.toContain('does not divide');
  });

  test('another checkpoint under the same name gets another file, and a damaged file is made anew', async () => {
    await run('--fp8_base --fp8_scaled', 1);
    const before = await made('.');
    await rewriteTensors('dit.safetensors', 'new.safetensors', (tensor) => {
      return { ...tensor, data: tensor.data.map((x) => 0.5 * x) };
    });
    await rename('dit.safetensors', 'kept.safetensors');
    await rename('new.safetensors', 'dit.safetensors');
    // as old as the first one was
    const { atime, mtime } = await stat('kept.safetensors');
    await utimes('dit.safetensors', atime, mtime);
    const { losses } = await run('--fp8_base --fp8_scaled', 1);
    expect(losses).not.toBeAllClose(plain.slice(0, 1), { rtol: 0.05 });
    expect(await made('.')).toHaveLength(before.length + 1);
    await rename('kept.safetensors', 'dit.safetensors');

    await writeFile(before[0]!, 'cut off');
    const { lines } = await run('--fp8_base --fp8_scaled', 1);
    expect(lines.some((line) => line.includes('are written to'))).toBe(true);
  }, 180_000);

  test('base_weights are merged before', async () => {
    const { outcome } = await run('--learning_rate 0.05', 2);
    const adapter = `${outcome.path!} --base_weights_multiplier 40`;
    const frozen = await run(`--base_weights ${adapter}`, 1);
    const merged = await run(`--base_weights ${adapter} --int8_base --fp8_cache_dir merged`, 1);
    expect(frozen.losses).not.toBeAllClose(plain.slice(0, 1), { rtol: 0.02 });
    expect(merged.losses).toBeAllClose(frozen.losses, { rtol: 0.01 });
    await run(`--base_weights ${outcome.path} --int8_base --fp8_cache_dir merged`, 1);
    expect(await made('merged')).toHaveLength(2);
  }, 180_000);

  describe('a checkpoint in another form gives the same weights:', () => {
    const options = '--int8_base --fp8_cache_dir forms';
    let expected: readonly number[];
    beforeAll(async () => {
      expected = (await run(options)).losses;
    });

    test('.pth, with matrices column by column', async () => {
      await writePth('dit.safetensors', 'dit.pth', (key) => key.endsWith('ffn.0.weight') || key.endsWith('q.weight'));
      const { losses } = await run(`${options} --dit dit.pth`);
      expect(losses).toEqual(expected);
      expect((await made('forms')).length).toBe(2);
    });

    test('shards', async () => {
      const names = await readStore('dit.safetensors', ({ tensors }) => [...tensors.keys()]);
      const [part, weightMap] = [(key: string) => names.indexOf(key) % 2, new Map<string, string>()];
      for (const index of [0, 1]) {
        const file = `part-0000${index + 1}-of-00002.safetensors`;
        await rewriteTensors('dit.safetensors', file, (tensor) => (part(tensor.name) === index ? tensor : null));
        for (const key of names) if (part(key) === index) weightMap.set(key, file);
      }
      const index = { metadata: {}, weight_map: Object.fromEntries(weightMap) };
      await writeFile('part.safetensors.index.json', JSON.stringify(index));
      const { losses } = await run(`${options} --dit part-00001-of-00002.safetensors`);
      expect(losses).toEqual(expected);
    });
  });

  test('a run that is called off while the file is made is interrupted, and leaves no file', async () => {
    const signal = AbortSignal.abort();
    const { outcome } = await folder.run('--int8_base --fp8_cache_dir called-off', { runtime, signal });
    expect(outcome).toEqual({ status: 'interrupted', path: null, steps: 0 });
    expect(await readdir('called-off')).toEqual([]);
  });

  test('a checkpoint that has 8 bits already is refused', async () => {
    const [file] = await made('.');
    await expect(run(`--dit ${file} --fp8_base --fp8_scaled`)).rejects.toMatchObject({
      code: 'FILE_UNUSABLE',
      message: expect.stringContaining('a run with fp8_base made it for itself'),
    });
  });
});
