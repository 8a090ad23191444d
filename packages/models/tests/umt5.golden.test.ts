import type { HostTensor } from '@musubi/onnx-graph';
import type { TensorStore } from '@musubi/safetensors';

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fromFloat32, toFloat32 } from '@musubi/safetensors';
import { openSafetensorsFile, writeSafetensorsFile } from '@musubi/safetensors/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { umt5 } from '../src/index.ts';
import { relativePositionBuckets } from '../src/umt5/relative-position.ts';
import { encoderGraph, runGraph } from './run-encoder.ts';

interface CaseFile {
  readonly config: Readonly<Record<string, number>>;
  readonly lengths: readonly number[];
  readonly padding_length: number;
}

const folder = ['models', 'te_umt5'];
const checkpointPath = goldenPath(...folder, 'checkpoint.safetensors');

/** Both compute in float32: the original's output is off by 1.6e-6 of its largest value against the same in float64. */
const tolerance = 1e-5;

test('the repository has a case', () => {
  if (isDefaultGolden) expect(hasGolden(...folder, 'case.json')).toBe(true);
});

describe.runIf(hasGolden(...folder, 'case.json'))('the recorded encoder', () => {
  let golden: TensorStore;
  let checkpoint: TensorStore;
  let texts: number[][];
  let recorded: CaseFile;

  beforeAll(async () => {
    recorded = readGoldenJson<CaseFile>(...folder, 'case.json');
    golden = await openSafetensorsFile(goldenPath(...folder, 'case.safetensors'));
    checkpoint = await openSafetensorsFile(checkpointPath);
    const ids = await int64('input_ids');
    texts = recorded.lengths.map((length, b) => ids.slice(b * recorded.padding_length).slice(0, length));
  });
  afterAll(() => Promise.all([golden.close(), checkpoint.close()]));

  const int64 = async (name: string): Promise<number[]> => {
    const bytes = await golden.read(name);
    return Array.from(new BigInt64Array(bytes.slice().buffer), Number);
  };

  test('has its configuration in the shapes of its weights', () => {
    const { config } = encoderGraph(umt5, checkpoint);
    expect(config).toEqual({
      vocabulary: recorded.config['vocab'],
      width: recorded.config['dim'],
      attentionWidth: recorded.config['dim_attn'],
      ffnWidth: recorded.config['dim_ffn'],
      heads: recorded.config['num_heads'],
      layers: recorded.config['num_layers'],
      buckets: recorded.config['num_buckets'],
    });
  });

  test('embeds a batch as the original does', async () => {
    const embeddings = await encode(texts);

    expect(embeddings).toHaveLength(recorded.lengths.length);
    for (const [i, { shape, data }] of embeddings.entries()) {
      const expected = await golden.readFloat32(`context.${i}`);
      expect(shape).toEqual(golden.tensors.get(`context.${i}`)?.shape);
      expect(data as Float32Array, `context.${i}`).toBeAllClose(expected, { atol: tolerance * largest(expected) });
    }
  });

  test('embeds a text alone, without the padding of longer ones, as the original does among them', async () => {
    for (const [i, ids] of texts.entries()) {
      const [embedding] = await encode([ids]);
      const expected = await golden.readFloat32(`context.${i}`);
      expect(embedding?.data as Float32Array).toBeAllClose(expected, { atol: tolerance * largest(expected) });
    }
  });

  test('computes the rows of padding like the original when it is asked to', async () => {
    const { config, graph } = encoderGraph(umt5, checkpoint);
    const length = recorded.padding_length;
    const [ids, mask] = [await int64('input_ids'), await int64('attention_mask')];
    const all = umt5.prepare(
      config,
      texts.map((_, b) => ids.slice(b * length, (b + 1) * length)),
    );
    const padding = Float32Array.from(mask, (m) => (m === 0 ? -3.4028234663852886e38 : 0));
    const { embeddings } = await runGraph(graph, checkpointPath, {
      ...all,
      padding: { dtype: 'float32', shape: [texts.length, length], data: padding },
    });

    const expected = await golden.readFloat32('padded_output');
    expect(embeddings?.data as Float32Array).toBeAllClose(expected, { atol: tolerance * largest(expected) });
  });

  test('computes inside its blocks what the original computes', async () => {
    const names = [...golden.tensors.keys()].filter((name) => /^act\.block\d+$/.test(name));
    const { config, graph } = encoderGraph(umt5, checkpoint, (g) => {
      for (const name of names) {
        const last = g.nodes.findLast((node) => node.scope === name.replace('act.block', 'blocks.'))?.outputs[0];
        if (last) g.output(name, last);
      }
    });
    const outputs = await runGraph(graph, checkpointPath, umt5.prepare(config, texts));

    for (const name of names) {
      const expected = await golden.readFloat32(name);
      const scale = largest(expected);
      const items = umt5.split(outputs[name] as HostTensor, texts);
      items.forEach(({ data, shape: [length = 0, width = 0] }, b) => {
        const rows = expected.subarray(b * recorded.padding_length * width).subarray(0, length * width);
        expect(data as Float32Array, name).toBeAllClose(rows, { atol: tolerance * scale });
      });
    }
  });

  test('puts relative positions into the buckets of the original', async () => {
    const [length = 0] = golden.tensors.get('position_buckets')?.shape ?? [];
    const { data } = relativePositionBuckets(length, recorded.config['num_buckets'] ?? 0);
    expect(Array.from(data as BigInt64Array, Number)).toEqual(await int64('position_buckets'));
  });

  describe('from another file', () => {
    let temporary: string;
    beforeAll(async () => {
      temporary = await mkdtemp(join(tmpdir(), 'musubi-umt5-'));
    });
    afterAll(() => rm(temporary, { recursive: true, force: true }));

    const write = async (file: string, dtypes: readonly ('F32' | 'BF16' | 'F16')[], rename = (key: string) => key) => {
      const path = join(temporary, file);
      const tensors = Array.from(checkpoint.tensors.values(), async ({ name, shape }) => {
        let values = await checkpoint.readFloat32(name);
        let data: Uint8Array = new Uint8Array();
        for (const dtype of dtypes) {
          data = fromFloat32(values, dtype);
          values = toFloat32(data, dtype);
        }
        return { name: rename(name), shape, dtype: dtypes.at(-1) ?? ('F32' as const), data };
      });
      await writeSafetensorsFile(path, await Promise.all(tensors));
      return path;
    };

    test.each(['BF16', 'F16'] as const)('a %s file embeds as its values do in float32', async (dtype) => {
      const narrow = await encode(texts, await write(`${dtype}.safetensors`, [dtype]));
      const wide = await encode(texts, await write(`${dtype}-as-float32.safetensors`, [dtype, 'F32']));

      expect(narrow).toEqual(wide);
      expect(wide).not.toEqual(await encode(texts));
    });

    test('"encoder." is removed wherever it stands in a key', async () => {
      const path = await write(
        'prefixed.safetensors',
        ['F32'],
        (key) => `encoder.${key.replace('attn', 'encoder.attn')}`,
      );

      expect(await encode(texts, path)).toEqual(await encode(texts));
    });
  });
});

test.runIf(hasGolden(...folder, 'published_keys.json'))('the tensors of UMT5-XXL are the published ones', () => {
  const tables = readGoldenJson<Record<string, Record<string, number[]>>>(...folder, 'published_keys.json');
  const parameters = umt5.parameters(umt5.published).map(({ name, shape }) => [name, shape]);

  for (const keys of Object.values(tables)) expect(parameters).toEqual(Object.entries(keys));
});

async function encode(batch: readonly number[][], path = checkpointPath): Promise<HostTensor[]> {
  const store = await openSafetensorsFile(path);
  const { config, graph } = encoderGraph(umt5, store);
  await store.close();
  const { embeddings } = await runGraph(graph, path, umt5.prepare(config, batch));
  return umt5.split(embeddings as HostTensor, batch);
}

const largest = (values: Float32Array): number => values.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
