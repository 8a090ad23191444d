import type { SafetensorsDtype, TensorStore, TensorToWrite } from '@musubi/safetensors';

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden } from '../../../tests/golden.ts';
import { wan } from '../src/index.ts';
import { loadModel } from './run-model.ts';
import { casesOf, openCase, readModelCall } from './wan-cases.ts';

describe.each(casesOf('text to video'))('$name', (wanCase) => {
  let folder: string;
  let checkpoint: TensorStore;
  let tensors: TensorToWrite[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'musubi-models-'));
    checkpoint = await openSafetensorsFile(wanCase.checkpoint);
    tensors = await Promise.all(
      Array.from(checkpoint.tensors.values(), async ({ name, dtype, shape }) => ({
        name,
        dtype,
        shape,
        data: await checkpoint.read(name),
      })),
    );
  });
  afterAll(async () => {
    await checkpoint.close();
    await rm(folder, { recursive: true, force: true });
  });

  const predict = async (path: string) => {
    const golden = await openCase(wanCase);
    const model = await loadModel(wan, path, { modelConfig: wanCase.configuration });
    const { prediction } = await model.run(await readModelCall(golden));
    await Promise.all([golden.close(), model.close()]);
    return prediction.data as Float32Array;
  };

  /** Writes the checkpoint with its values rounded to `rounded`, stored as `stored`. */
  const rewrite = async (file: string, rounded: SafetensorsDtype, stored: SafetensorsDtype): Promise<string> => {
    const path = join(folder, file);
    await writeSafetensorsFile(
      path,
      tensors.map(({ name, shape, dtype, data }) => {
        const values = toFloat32(data as Uint8Array, dtype);
        return {
          name,
          shape,
          dtype: stored,
          data: fromFloat32(toFloat32(fromFloat32(values, rounded), rounded), stored),
        };
      }),
    );
    return path;
  };

  test.each(['BF16', 'F16'] as const)('a %s file predicts what its values predict in float32', async (dtype) => {
    const narrow = await predict(await rewrite(`${dtype}.safetensors`, dtype, dtype));
    const wide = await predict(await rewrite(`${dtype}-as-float32.safetensors`, dtype, 'F32'));

    expect(narrow).toEqual(wide);
    expect(wide).not.toEqual(await predict(wanCase.checkpoint));
  });

  test('shards predict what the single file predicts', async () => {
    const half = Math.floor(tensors.length / 2);
    const first = join(folder, 'dit-00001-of-00002.safetensors');
    const second = join(folder, 'dit-00002-of-00002.safetensors');
    await writeSafetensorsFile(first, tensors.slice(0, half));
    await writeSafetensorsFile(second, tensors.slice(half));

    expect(await predict(first)).toEqual(await predict(wanCase.checkpoint));
  });

  test.runIf(hasGolden('models', 'wan', wanCase.name, 'lora.safetensors'))(
    'the modules of its blocks are those that the original adapts',
    async () => {
      const lora = await openSafetensorsFile(goldenPath('models', 'wan', wanCase.name, 'lora.safetensors'));
      const { config, close } = await loadModel(wan, wanCase.checkpoint, { modelConfig: wanCase.configuration });
      const targets = wan.lora.modules(config).filter((m) => m.blockClass === wan.lora.targetClass);
      const excluded = wan.lora.defaultExcludePatterns.map((pattern) => new RegExp(`^(?:${pattern})$`));

      const down = targets.map((m) => [`lora_unet_${m.path.replaceAll('.', '_')}.lora_down.weight`, m.inFeatures]);
      const theirs = Array.from(lora.tensors.values()).filter((t) => t.name.endsWith('.lora_down.weight'));
      expect(down.toSorted()).toEqual(theirs.map((t) => [t.name, t.shape[1]]).toSorted());
      expect(targets.filter((m) => excluded.some((pattern) => pattern.test(m.path)))).toEqual([]);
      await Promise.all([lora.close(), close()]);
    },
  );
});

test('modules are listed in the order in which the original makes their adapters', () => {
  const modules = wan.lora.modules({ ...wan.tasks['t2v-1.3B'].config, layers: 1 });
  const inBlock = modules.flatMap((m) => (m.blockClass === null ? [] : [m.path.replace('blocks.0.', '')]));
  expect(inBlock.join(' ')).toBe(
    'self_attn.q self_attn.k self_attn.v self_attn.o cross_attn.q cross_attn.k cross_attn.v cross_attn.o ffn.0 ffn.2',
  );
});

test('the draws of an empty model are its modulations', () => {
  const config = { ...wan.tasks['t2v-1.3B'].config, layers: 2 };
  expect(wan.constructionDraws(config)).toEqual([
    [1, 6, 1536],
    [1, 6, 1536],
    [1, 2, 1536],
  ]);
});
