import type { LoraAdapter } from '@musubi/lora';
import type { Graph, Value } from '@musubi/onnx-graph';
import type { Runtime, SessionRequest } from '@musubi/runtime';

import { mkdir, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { loraName } from '@musubi/lora';
import { decodeModel } from '@musubi/onnx-graph';
import { createNodeRuntime } from '@musubi/runtime/node';
import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { writeFileAtomic, writeSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, readGoldenJson } from '../../../tests/golden.ts';
import {
  type FileTensor,
  type FinishedRun,
  type RunFolder,
  rewriteTensors,
  openRunFolder,
  readAdapter,
  readStore,
  short,
  wanRuns,
  writeAdapter,
  writePth,
} from './run-folder.ts';

const outputOf = ({ outcome }: FinishedRun) => readAdapter(outcome.path ?? '');

describe.each(wanRuns.slice(0, 1))('weights of runs like %s', (name) => {
  let folder: RunFolder;
  let runtime: Runtime;
  /** Two steps from the start, without anything special. */
  let plain: FinishedRun;
  /** A trained adapter, and the base model with it merged. */
  let adapter: LoraAdapter;
  const { files } = readGoldenJson<{ files: { file: string; kept: boolean }[] }>('runs', name, 'run.json');
  const lora = files.findLast(({ kept }) => kept)?.file ?? '';
  const merged = 'merged.safetensors';

  beforeAll(async () => {
    folder = await openRunFolder(name);
    runtime = await createNodeRuntime();
    plain = await folder.run(short(2), { runtime });
    adapter = await readAdapter(lora);
    await rewriteTensors('dit.safetensors', merged, mergeInto(adapter, 1));
  });
  afterAll(async () => {
    await runtime.close();
    await folder.close();
  });

  const losses = async (options: string) => (await folder.run(`${short(2)} ${options}`, { runtime })).losses;
  const sizes = () => {
    const { rank = 0, alpha = 0 } = adapter.modules[0] ?? {};
    return `--network_dim ${rank} --network_alpha ${alpha}`;
  };

  describe('network_weights', () => {
    test('starts from the loss of the file', async () => {
      const [first] = await losses(`--network_weights ${lora} ${sizes()}`);
      // The ranks too: how many numbers are drawn for the adapter decides the noise.
      const [expected] = await losses(`--dit ${merged} ${sizes()}`);
      expect([first]).toBeAllClose([expected ?? NaN], { rtol: 1e-5 });
      expect(first).not.toBeCloseTo(plain.losses[0] ?? NaN, 3);
    });

    test('goes on where an earlier run stopped', async () => {
      const run = await folder.run(`${short(1)} --learning_rate 1e-9`, { runtime });
      const next = await folder.run(`${short(1)} --network_weights ${run.outcome.path} --learning_rate 1e-9`, {
        runtime,
      });
      expect(next.losses).toBeAllClose(run.losses, { rtol: 1e-6 });
      const [before, after] = [await outputOf(run), await outputOf(next)];
      after.modules.forEach((module, i) => expect(module.down).toBeAllClose(before.modules[i]!.down, { atol: 1e-7 }));
    });

    test('with dim_from_weights has the ranks and alphas of the file', async () => {
      const small = await folder.run(`${short(1)} --network_dim 2 --network_alpha 3`, { runtime });
      const from = `--network_weights ${small.outcome.path}`;
      const same = await folder.run(`${short(1)} ${from} --network_dim 2 --network_alpha 3`, { runtime });
      const taken = await folder.run(`${short(1)} ${from} --dim_from_weights --network_dim 16`, { runtime });
      expect(taken.losses).toEqual(same.losses);
      const { modules } = await outputOf(taken);
      expect(new Set(modules.map(({ rank, alpha }) => `${rank} ${alpha}`))).toEqual(new Set(['2 3']));
      expect(modules).toHaveLength(adapter.modules.length);
    });

    test('that lack modules leave these as they are initialised, which is told', async () => {
      const half = { modules: adapter.modules.slice(0, 5) };
      await writeAdapter('half.safetensors', half);
      const run = await folder.run(`${short(1)} --network_weights half.safetensors ${sizes()}`, { runtime });
      const missing = adapter.modules.length - 5;
      expect(run.lines.join('\n')).toContain(`network_weights has no weights for ${missing} modules, e.g. lora_unet_`);
      expect((await outputOf(run)).modules).toHaveLength(adapter.modules.length);
    });
  });

  describe('base_weights', () => {
    test.each([1, 0.5, -2])('times %s give the loss of a model into which they are merged', async (multiplier) => {
      await rewriteTensors('dit.safetensors', 'scaled.safetensors', mergeInto(adapter, multiplier));
      const expected = await losses('--dit scaled.safetensors');
      const found = await losses(`--base_weights ${lora} --base_weights_multiplier ${multiplier}`);
      expect(found).toBeAllClose(expected, { rtol: 1e-5 });
      expect(found[0]).not.toBeCloseTo(plain.losses[0] ?? NaN, 3);
    });

    test('of PyTorch are the same, also as network_weights', async () => {
      await writePth(lora, 'lora.pth', (key) => key.includes('lora_up'));
      expect(await losses('--base_weights lora.pth')).toBeAllClose(await losses(`--base_weights ${lora}`), {
        rtol: 1e-5,
      });
      const from = await losses(`--network_weights lora.pth ${sizes()}`);
      expect(from).toEqual(await losses(`--network_weights ${lora} ${sizes()}`));
    });

    test('of several files add up, one of them without a factor', async () => {
      const other = { modules: adapter.modules.slice(3, 8).map((m) => ({ ...m, up: m.up.map((x) => -3 * x) })) };
      await writeAdapter('second-adapter.safetensors', other);
      await rewriteTensors(merged, 'both.safetensors', mergeInto(other, 1));
      const options = `--base_weights ${lora} second-adapter.safetensors --base_weights_multiplier 1`;
      expect(await losses(options)).toBeAllClose(await losses('--dit both.safetensors'), { rtol: 1e-5 });
    });

    test('are read where they lie, in bfloat16 too', async () => {
      const elsewhere = await openRunFolder(name, 'musubi other ü-');
      process.chdir(folder.path);
      try {
        const narrow = roundedAdapter(adapter);
        await writeAdapter(join(elsewhere.path, 'narrow.safetensors'), narrow, 'BF16');
        await rewriteTensors('dit.safetensors', 'narrow-merged.safetensors', mergeInto(narrow, 1));
        const options = [...short(2).split(' '), '--base_weights', join(elsewhere.path, 'narrow.safetensors')];
        const run = await folder.run(options, { runtime });
        expect(run.losses).toBeAllClose(await losses('--dit narrow-merged.safetensors'), { rtol: 1e-5 });
      } finally {
        process.chdir(elsewhere.path);
        await elsewhere.close();
        process.chdir(folder.path);
      }
    });

    test('stay as they are and are not part of the result', async () => {
      const run = await folder.run(`${short(2)} --base_weights ${lora}`, { runtime });
      const { modules } = await outputOf(run);
      const start = await outputOf(await folder.run(`${short(1)} --learning_rate 1e-9`, { runtime }));
      modules.forEach(({ down }, i) => expect(down).toBeAllClose(start.modules[i]!.down, { atol: 5e-3 }));
      expect(await readAdapter(lora)).toEqual(await readAdapter(goldenPath('runs', name, lora)));
    });
  });

  describe('a checkpoint', () => {
    test.each([
      ['BF16', 'bfloat16', 0.05],
      ['F16', 'float16', 0.01],
    ] as const)('in %s is widened product by product', async (dtype, graphType, rtol) => {
      const file = `${dtype}.safetensors`;
      await rewriteTensors('dit.safetensors', file, (tensor) => ({ ...tensor, dtype }));
      await rewriteTensors('dit.safetensors', 'rounded.safetensors', (tensor) => ({
        ...tensor,
        dtype: 'F32',
        data: rounded(tensor.data, dtype),
      }));
      for (const options of ['', '--gradient_checkpointing']) {
        const { graphs, spy } = spying(runtime);
        const run = await folder.run(`${short(2)} --dit ${file} ${options}`, { runtime: spy });
        expect(run.losses).toBeAllClose(plain.losses, { rtol });
        expect(run.losses).toBeAllClose(await losses('--dit rounded.safetensors'), { rtol: 1e-6 });

        const [{ ungated, gated }] = graphs.map((graph) => widenings(graph, graphType)) as [
          ReturnType<typeof widenings>,
        ];
        expect(ungated).toEqual([]);
        // Every layer is used forward, and all but those that no gradient passes through backward.
        expect(gated).toBeGreaterThan(1.5 * adapter.modules.length);
      }
    });

    test('in shards is the same from any shard and from the index', async () => {
      await writeShards('dit.safetensors', 'x', 2);
      for (const dit of ['x-00001-of-00002.safetensors', 'x-00002-of-00002.safetensors', 'x.safetensors.index.json']) {
        expect(await losses(`--dit ${dit}`), dit).toEqual(plain.losses);
      }
    });

    test('of PyTorch is the same, whatever its name', async () => {
      await writePth('dit.safetensors', 'dit.pth', () => false);
      expect(await losses('--dit dit.pth')).toEqual(plain.losses);
      await rename('dit.pth', 'dit-of-pytorch.safetensors');
      expect(await losses('--dit dit-of-pytorch.safetensors')).toEqual(plain.losses);
    });

    test.each(['F32', 'BF16'] as const)('of PyTorch may have transposed matrices of %s', async (dtype) => {
      await rewriteTensors('dit.safetensors', 'straight.safetensors', (tensor) => ({ ...tensor, dtype }));
      await writePth('straight.safetensors', 'turned.pth', (key) => !key.includes('ffn.0'));
      const { graphs, spy } = spying(runtime);
      const run = await folder.run(`${short(2)} --dit turned.pth`, { runtime: spy });
      // other kernels for operands that lie otherwise
      expect(run.losses).toBeAllClose(await losses('--dit straight.safetensors'), { rtol: 1e-5 });
      expect(graphs.flatMap((graph) => graph.initializers).some((v) => v.name.endsWith('.stored'))).toBe(true);
      if (dtype === 'BF16') expect(widenings(graphs[0]!, 'bfloat16').ungated).toEqual([]);
    });

    // Windows lets only privileged users make links.
    test.runIf(process.platform !== 'win32')('behind a link, as in the cache of Hugging Face', async () => {
      await mkdir('blobs');
      await mkdir('snapshots');
      await rewriteTensors('dit.safetensors', 'dit-2.safetensors', (tensor) => tensor);
      await rename('dit-2.safetensors', 'blobs/0123abcd');
      await symlink('../blobs/0123abcd', 'snapshots/dit.safetensors');
      expect(await losses('--dit snapshots/dit.safetensors --model_config model.json')).toEqual(plain.losses);
    });

    test('with or without the prefix of repackaged files is the same', async () => {
      const prefix = 'model.diffusion_model.';
      await rewriteTensors('dit.safetensors', 'renamed.safetensors', (tensor) => {
        const { name: key } = tensor;
        return { ...tensor, name: key.startsWith(prefix) ? key.slice(prefix.length) : prefix + key };
      });
      expect(await losses('--dit renamed.safetensors')).toEqual(plain.losses);
    });
  });

  test.each([
    ['', null],
    ['--gradient_checkpointing_every 2', /^gradient_checkpointing_every 2: (\d+) of \d+ blocks are computed again$/m],
    ['--gradient_checkpointing_every 99', /^gradient_checkpointing_every 99: none of \d+ blocks are computed again$/m],
  ])('gradient_checkpointing changes no bit %s', async (every, line) => {
    const run = await folder.run(`${short(3)} --gradient_checkpointing ${every}`, { runtime });
    const without = await folder.run(short(3), { runtime });
    expect(run.losses).toEqual(without.losses);
    expect(await outputOf(run)).toEqual(await outputOf(without));
    if (line) expect(run.lines.join('\n')).toMatch(line);
    else expect(run.lines.join('\n')).not.toContain('computed again');
  });
});

/** Adds `multiplier·alpha/rank · up·down` to the weights of a checkpoint (Hu et al. 2021, arXiv 2106.09685). */
function mergeInto({ modules }: LoraAdapter, multiplier: number) {
  const byName = new Map(modules.map((module) => [module.name, module]));
  return (tensor: FileTensor): FileTensor => {
    const { name, data } = tensor;
    const path = name.replace('model.diffusion_model.', '').replace(/\.weight$/, '');
    const module = name.endsWith('.weight') ? byName.get(loraName(path)) : undefined;
    if (!module) return tensor;
    const { rank, alpha, inFeatures, up, down } = module;
    const sum = data.map((w, at) => {
      const [row, column] = [Math.floor(at / inFeatures), at % inFeatures];
      let product = 0;
      for (let r = 0; r < rank; r++) product += up[row * rank + r]! * down[r * inFeatures + column]!;
      return w + ((multiplier * alpha) / rank) * product;
    });
    return { ...tensor, dtype: 'F32', data: sum };
  };
}

const rounded = (values: Float32Array, dtype: 'BF16' | 'F16') => toFloat32(fromFloat32(values, dtype), dtype);

const roundedAdapter = ({ modules }: LoraAdapter): LoraAdapter => ({
  modules: modules.map((m) => ({ ...m, down: rounded(m.down, 'BF16'), up: rounded(m.up, 'BF16') })),
});

/** A runtime that keeps the graphs of its sessions. */
function spying(runtime: Runtime) {
  const graphs: Graph[] = [];
  const createSession = (request: SessionRequest) => {
    graphs.push(decodeModel(request.model));
    return runtime.createSession(request);
  };
  return { graphs, spy: { ...runtime, createSession } satisfies Runtime };
}

/** How often a 16-bit matrix is widened in front of a product: behind a gate, or without one. */
function widenings(graph: Graph, dtype: 'float16' | 'bfloat16') {
  const matrix = (value: Value | null | undefined) =>
    value?.external && value.dtype === dtype && value.shape.length === 2;
  const casts = graph.nodes.filter(({ op }) => op === 'Cast').map(({ inputs }) => inputs[0]);
  return {
    ungated: casts.flatMap((value) => (value && matrix(value) ? [value.name] : [])),
    gated: casts.filter((value) => value?.producer?.op === 'Reshape' && matrix(value.producer.inputs[0])).length,
  };
}

async function writeShards(from: string, name: string, count: number): Promise<void> {
  await readStore(from, async (store) => {
    const all = [...store.tensors.values()];
    const weightMap: Record<string, string> = {};
    for (let i = 0; i < count; i++) {
      const [index, last] = [i + 1, count].map((n) => String(n).padStart(5, '0'));
      const file = `${name}-${index}-of-${last}.safetensors`;
      const share = all.filter((_, k) => k % count === i);
      for (const info of share) weightMap[info.name] = file;
      await writeSafetensorsFile(
        file,
        share.map(({ name: key, dtype, shape }) => ({ name: key, dtype, shape, data: () => store.read(key) })),
      );
    }
    await writeFileAtomic(`${name}.safetensors.index.json`, JSON.stringify({ metadata: {}, weight_map: weightMap }));
  });
}
