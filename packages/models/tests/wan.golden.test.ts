import type { TensorStore } from '@musubi/safetensors';

import { openSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ModelBatch, WanConfig } from '../src/index.ts';
import type { LoadedModel } from './run-model.ts';

import { isDefaultGolden } from '../../../tests/golden.ts';
import { resolveWeights, wan } from '../src/index.ts';
import { inRecordedLayout, parseRecorded } from './recorded-modules.ts';
import { loadModel } from './run-model.ts';
import { casesOf, largest, openCase, readModelCall } from './wan-cases.ts';

test('the repository has a case of Wan 2.1 and one of Wan 2.2', () => {
  const tasks = casesOf('text to video').map((c) => c.task);
  if (isDefaultGolden) expect(tasks).toEqual(expect.arrayContaining(['t2v-1.3B', 't2v-A14B']));
});

describe.each(casesOf('text to video'))('$name', (wanCase) => {
  let golden: TensorStore;
  let model: LoadedModel<WanConfig>;
  let call: ModelBatch;

  beforeAll(async () => {
    golden = await openCase(wanCase);
    model = await loadModel(wan, wanCase.checkpoint, { task: wanCase.task, modelConfig: wanCase.configuration });
    call = await readModelCall(golden);
  });
  afterAll(async () => {
    await golden.close();
    await model.close();
  });

  test('predicts what the original predicts', async () => {
    const expected = await golden.readFloat32('base.pred');
    const { prediction } = await model.run(call);

    expect(prediction.shape).toEqual(golden.tensors.get('base.pred')?.shape);
    expect(prediction.data).toBeAllClose(expected, { atol: 1e-5 * largest(expected) });
  });

  test('has the loss of the original', async () => {
    const [latents, noise] = [await golden.readFloat32('batch.latents'), await golden.readFloat32('noise')];
    const target = { ...call.noisyLatents, data: noise.map((x, i) => x - (latents[i] ?? 0)) };
    const { prediction } = await model.run(call);

    const predicted = wan.toOutputTokens(model.config, prediction).data as Float32Array;
    const wanted = wan.toOutputTokens(model.config, target).data as Float32Array;
    const loss = predicted.reduce((sum, x, i) => sum + (x - (wanted[i] ?? 0)) ** 2, 0) / predicted.length;
    expect(loss).toBeAllClose(goldenScalar(await golden.read('base.loss')), { rtol: 1e-6 });
  });

  test('turns heads by the tables of the original', async () => {
    const { rope_cos: cos, rope_sin: sin } = wan.prepare(model.config, call);
    for (const [prefix, table] of [
      ['inter.rope_cos.', cos],
      ['inter.rope_sin.', sin],
    ] as const) {
      const name = [...golden.tensors.keys()].find((key) => key.startsWith(prefix)) ?? `${prefix}…`;
      expect(table?.data).toBeAllClose(await golden.readFloat32(name), { atol: 1e-7 });
    }
  });

  test('computes inside its modules what the original computes', async () => {
    const recorded = [...golden.tensors.keys()].filter((key) => /^inter\.(?!rope_)/.test(key));
    const { modules } = await model.run(call, [...new Set(recorded.map((key) => parseRecorded(key).module))]);

    for (const key of recorded) {
      const expected = await golden.readFloat32(key);
      const ours = modules.get(parseRecorded(key).module) ?? call.noisyLatents;
      const actual = inRecordedLayout(key, ours, golden.tensors.get(key)?.shape ?? []);
      expect(actual, key).toBeAllClose(expected, { atol: moduleTolerance(key) * largest(expected) });
    }
  });
});

/**
 * Cross-attention averages 512 rows of which most are one padding row: what float32 leaves of it is off by 4e-6 of the
 * largest value in the original and in ours, against the same in float64.
 */
const moduleTolerance = (key: string): number => (key.includes('cross_attn') ? 3e-5 : 1e-5);

/** Scalars are stored in float64. */
const goldenScalar = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);

test.each(casesOf('refused task'))('refuses $name by the name of its task', async (wanCase) => {
  const store = await openSafetensorsFile(wanCase.checkpoint);
  const name = new RegExp(wanCase.task);

  for (const hints of [{}, { modelConfig: wanCase.configuration }]) {
    expect(() => resolveWeights(store, wan, hints)).toThrow(name);
    expect(() => resolveWeights(store, wan, hints)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_MODEL' }));
  }
  await store.close();
});

test.each(casesOf('fp8'))('refuses $name for its dtype', async ({ checkpoint, task }) => {
  const store = await openSafetensorsFile(checkpoint);

  expect(() => resolveWeights(store, wan, { task })).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_DTYPE' }));
  await store.close();
});
