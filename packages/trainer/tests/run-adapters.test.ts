import type { Adapter, LoraModule } from '@musubi/lora';
import type { Runtime } from '@musubi/runtime';

import { factorsOf, readAdapter as readAnyAdapter } from '@musubi/lora';
import { mergeLoraFiles } from '@musubi/lora/node';
import { createNodeRuntime } from '@musubi/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  type FinishedRun,
  type RunFolder,
  openRunFolder,
  readAdapter,
  readStore,
  short,
  wanRuns,
} from './run-folder.ts';

const pathOf = ({ outcome }: FinishedRun): string => outcome.path ?? '';
const modulesOf = async (run: FinishedRun) => (await readAdapter(pathOf(run))).modules;
const anyAdapterOf = (run: FinishedRun): Promise<Adapter> => readStore(pathOf(run), readAnyAdapter);

describe.each(wanRuns.slice(0, 1))('adapters of runs like %s', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  let plain: FinishedRun;

  beforeAll(async () => {
    folder = await openRunFolder(name);
    runtime = await createNodeRuntime();
    plain = await run('');
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  const run = (options: string, steps = 2) =>
    folder.run(`${short(steps)} --learning_rate 0.01 ${options}`, { runtime });

  describe.each([
    ['loha', ['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b'], ''],
    ['lokr', ['lokr_w1', 'lokr_w2_a', 'lokr_w2_b'], '--network_dim 1'],
    ['lokr', ['lokr_w1', 'lokr_w2'], '--network_dim 1000'],
    ['lokr', ['lokr_w1', 'lokr_w2_a', 'lokr_w2_b'], '--network_dim 1 --network_args factor=2'],
  ])('networks.%s with %j', (kind, parts, options) => {
    const module = `--network_module networks.${kind} ${options}`;
    let trained: FinishedRun;
    beforeAll(async () => {
      trained = await run(`${module} --optimizer_type SGD --learning_rate 1`);
    });

    test('is trained and saved', async () => {
      const adapter = await anyAdapterOf(trained);
      expect(adapter.modules.map((each) => each.name)).toEqual((await modulesOf(plain)).map((each) => each.name));
      expect(factorsOf(adapter.modules[0]!).map(({ part }) => part)).toEqual(parts);
      // The factor that starts at zero is the one that learns first.
      const zero = kind === 'loha' ? 'hada_w2_a' : parts.at(-1);
      const learnt = factorsOf(adapter.modules[0]!).find(({ part }) => part === zero);
      expect(learnt?.data.some((value) => value !== 0)).toBe(true);
      expect(trained.losses[1]).not.toBe(trained.losses[0]);
      const metadata = await readStore(pathOf(trained), (store) => store.metadata);
      expect(metadata['ss_network_module']).toBe(`networks.${kind}`);
    });

    test('goes on from a file, and is the base with it merged', async () => {
      const output = `merged-${kind}-${parts.length}-${options.length}.safetensors`;
      await mergeLoraFiles({ base: 'dit.safetensors', adapters: [{ path: pathOf(trained), multiplier: 1 }], output });
      const [expected] = (await run(`${module} --dit ${output}`, 1)).losses;
      const [found] = (await run(`${module} --network_weights ${pathOf(trained)} --dim_from_weights`, 1)).losses;
      const [frozen] = (await run(`${module} --base_weights ${pathOf(trained)}`, 1)).losses;
      expect([found, frozen]).toBeAllClose([expected!, expected!], { rtol: 1e-5 });
      expect(Math.abs(expected! / trained.losses[0]! - 1)).toBeGreaterThan(1e-4);
    });
  });

  test('weights of another kind are refused', async () => {
    await expect(run(`--network_module networks.loha --network_weights ${pathOf(plain)}`)).rejects.toMatchObject({
      code: 'KIND_MISMATCH',
    });
  });

  describe('loraplus_lr_ratio', () => {
    test('trains lora_up faster', async () => {
      const sgd = '--optimizer_type SGD --max_grad_norm 0';
      const [one, four] = [await run(sgd, 1), await run(`${sgd} --network_args loraplus_lr_ratio=4`, 1)];
      expect(four.steps[0]).toMatchObject({ groupNames: ['unet', 'unet plus'], learningRates: [0.01, 0.04] });
      const [before, after] = [await modulesOf(one), await modulesOf(four)];
      after.forEach(({ up }, i) =>
        expect(up).toBeAllClose(
          before[i]!.up.map((x) => 4 * x),
          { rtol: 1e-6 },
        ),
      );
    });

    test('has no effect on a LoHa, which is told', async () => {
      const finished = await run('--network_module networks.loha --network_args loraplus_lr_ratio=4', 1);
      expect(finished.steps[0]?.groupNames).toEqual(['unet']);
      expect(finished.lines.join('\n')).toContain('loraplus_lr_ratio has no effect');
    });
  });

  describe('scale_weight_norms', () => {
    test('keeps all products below', async () => {
      const limit = 0.002;
      const finished = await run(`--scale_weight_norms ${limit}`);
      const modules = await modulesOf(finished);
      expect(Math.max(...modules.map(norm))).toBeLessThanOrEqual(limit * (1 + 1e-5));
      expect(Math.max(...(await modulesOf(plain)).map(norm))).toBeGreaterThan(limit);
      const { weightNorms } = finished.steps.at(-1)!;
      expect(weightNorms?.keysScaled).toBeGreaterThan(0);
      expect(weightNorms?.maximum).toBeAllClose(Math.max(...modules.map(norm)), { rtol: 1e-5 });
    });

    test('far above all norms changes nothing', async () => {
      const finished = await run('--scale_weight_norms 1000');
      // Norms below half of the limit count as half of it, so nothing is scaled.
      expect(finished.losses).toEqual(plain.losses);
      expect(await modulesOf(finished)).toEqual(await modulesOf(plain));
    });
  });

  describe('dropout', () => {
    test.each([
      '--network_dropout 0.5',
      '--network_args rank_dropout=0.5',
      '--network_args module_dropout=0.5',
      '--network_dropout 0.3 --network_args rank_dropout=0.3 module_dropout=0.1',
    ])('%s', async (options) => {
      const finished = await run(options, 3);
      // What is dropped is drawn after the noise of its batch, and lora_up is zero then.
      expect(finished.losses[0]).toBe(plain.losses[0]);
      expect(finished.losses[1]).not.toBe(plain.losses[1]);
      expect(finished.losses.every(Number.isFinite)).toBe(true);
      expect((await run(options, 3)).losses).toEqual(finished.losses);
      expect((await run(`${options} --gradient_checkpointing`, 3)).losses).toEqual(finished.losses);
    });

    test('rows of lora_up whose ranks were dropped for the whole batch have no gradient', async () => {
      const options = '--optimizer_type SGD --max_grad_norm 0 --network_args rank_dropout=0.7';
      const [with_, without] = [
        await modulesOf(await run(options, 1)),
        await modulesOf(await run('--optimizer_type SGD', 1)),
      ];
      expect(untrainedRanks(without)).not.toContain(true);
      const dropped = untrainedRanks(with_).filter(Boolean).length / untrainedRanks(with_).length;
      expect(dropped).toBeGreaterThan(0.2);
      expect(dropped).toBeLessThan(1);
    });

    test.each(['loha', 'lokr'])('of a %s drops outputs and modules', async (kind) => {
      const module = `--network_module networks.${kind} --network_dim 1`;
      const [first, second] = (await run(module)).losses;
      const { losses } = await run(`${module} --network_args rank_dropout=0.5 module_dropout=0.1`);
      expect(losses[0]).toBe(first);
      expect(losses[1]).not.toBe(second);
    });
  });

  test('conv_dim and conv_alpha change nothing, which is told', async () => {
    const finished = await run('--network_args conv_dim=4 conv_alpha=1');
    expect(finished.losses).toEqual(plain.losses);
    expect(await modulesOf(finished)).toEqual(await modulesOf(plain));
    expect(finished.lines.filter((line) => /^conv_(dim|alpha) has no effect/.test(line))).toHaveLength(2);
  });

  test('verbose lists the modules', async () => {
    const { lines } = await run('--network_args verbose=True', 1);
    expect(lines.filter((line) => /^ {2}lora_unet_\w+: rank \d+, alpha \d+$/.test(line))).toHaveLength(
      (await modulesOf(plain)).length,
    );
  });
});

function norm({ rank, alpha, inFeatures, outFeatures, down, up }: LoraModule): number {
  let squares = 0;
  for (let o = 0; o < outFeatures; o++) {
    for (let i = 0; i < inFeatures; i++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += up[o * rank + r]! * down[r * inFeatures + i]!;
      squares += ((sum * alpha) / rank) ** 2;
    }
  }
  return Math.sqrt(squares);
}

/** Of each module and rank: whether its column of `lora_up` is still zero. */
function untrainedRanks(modules: readonly LoraModule[]): boolean[] {
  return modules.flatMap(({ up, rank }) =>
    Array.from({ length: rank }, (_, r) => up.every((x, i) => i % rank !== r || x === 0)),
  );
}
