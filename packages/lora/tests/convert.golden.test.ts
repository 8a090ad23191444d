import { encodeSafetensors } from '@musubi/safetensors';
import { fileSource, openSafetensorsFile } from '@musubi/safetensors/node';
import { describe, expect, test } from 'vitest';
import { goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { convertLora, modulePath } from '../src/index.ts';
import { sameBytes } from './same-bytes.ts';
import { goldenStore, storeOf } from './golden-tensors.ts';
import type { GoldenTensors } from './golden-tensors.ts';

interface Golden {
  numeric: {
    args: { alpha: number; rank: number; diffusers_prefix: string | null };
    input: GoldenTensors;
    output: { other: GoldenTensors; back: GoldenTensors };
  }[];
  from_other: { input_keys: string[]; output: Record<string, number[] | number> }[];
  cases: {
    args: { architecture: string; type: string };
    output: { pairs_lora_name_produced_path_true_path: [name: string, produced: string, path: string][] };
  }[];
}
interface GoldenFiles {
  architectures: Record<string, { modules: [name: string, path: string, produced: string, back: string][] }>;
  files: {
    name: string;
    target: 'other' | 'default';
    diffusers_prefix: string | null;
    input: string;
    output?: string;
    output_tensors?: Record<string, unknown>;
    error?: string;
  }[];
}

const golden = readGoldenJson<Golden>('maths', 'convert_lora.json');
const files: GoldenFiles =
  isDefaultGolden || hasGolden('files', 'convert_lora.json')
    ? readGoldenJson<GoldenFiles>('files', 'convert_lora.json')
    : { architectures: {}, files: [] };

test('the default folder has cases of every kind', () => {
  if (!isDefaultGolden) return;
  for (const list of [golden.numeric, golden.from_other, golden.cases, files.files]) expect(list).not.toEqual([]);
});

describe.each(golden.cases)('paths of $args', ({ args, output }) => {
  const pairs = output.pairs_lora_name_produced_path_true_path;

  test('are guessed as the original does', () => {
    expect(pairs.map(([name]) => modulePath(name))).toEqual(pairs.map(([, produced]) => produced));
  });

  test('are right where it is known what the adapter is for', () => {
    expect(pairs.map(([name]) => modulePath(name, args.architecture))).toEqual(pairs.map(([, , path]) => path));
  });
});

test.each(Object.entries(files.architectures))('paths of the small %s', (architecture, { modules }) => {
  expect(modules.map(([name]) => modulePath(name))).toEqual(modules.map(([, , produced]) => produced));
  expect(modules.map(([name]) => modulePath(name, architecture))).toEqual(modules.map(([, path]) => path));
});

describe.each(golden.numeric)('numbers with $args', ({ args, input, output }) => {
  test('in the other layout, and back', async () => {
    const store = await goldenStore(input);
    const other = await convertLora(store, { target: 'other', diffusersPrefix: args.diffusers_prefix });
    await compare(other.tensors, output.other);
    await compare((await convertLora(await storeOf(other.tensors), { target: 'default' })).tensors, output.back);
  });
});

test.each(golden.from_other)('$input_keys', async ({ input_keys, output }) => {
  // The file gives shapes of results only; alphas that stand in the input are theirs.
  const inputs = input_keys.map((key) => {
    const isAlpha = key.endsWith('.alpha');
    const alpha = Object.entries(output).find(([name]) => name.endsWith('.alpha'))?.[1];
    const values = isAlpha ? [Number(alpha)] : Array.from({ length: 6 }, (_, i) => i);
    return [key, { dtype: 'float32', shape: isAlpha ? [] : [3, 2], values }] as const;
  });
  const { tensors } = await convertLora(await goldenStore(Object.fromEntries(inputs)), { target: 'default' });
  const store = await storeOf(tensors);
  const found = await Promise.all(
    [...store.tensors.values()].map(async ({ name, shape }) => [
      name,
      shape.length === 0 ? (await store.readFloat32(name))[0] : shape,
    ]),
  );
  expect(Object.fromEntries(found)).toEqual(output);
});

describe.each(files.files)('$name', ({ target, diffusers_prefix, input, output, output_tensors, error }) => {
  test('is converted as the original does', async () => {
    const store = await openSafetensorsFile(goldenPath('files', input));
    const convert = () => convertLora(store, { target, diffusersPrefix: diffusers_prefix });
    try {
      if (error !== undefined) {
        await expect(convert()).rejects.toMatchObject({ name: 'LoraError', code: 'KEY_UNKNOWN' });
      } else if (Object.keys(output_tensors ?? {}).length === 0) {
        // The original writes an empty file.
        await expect(convert()).rejects.toMatchObject({ name: 'LoraError', code: 'NOTHING_MATCHES' });
      } else {
        const { tensors, metadata } = await convert();
        const source = await fileSource(goldenPath('files', output!));
        const expected = await source.read(0, source.size);
        await source.close();
        // The order of metadata is random in the original: taken from its file.
        const original = await openSafetensorsFile(goldenPath('files', output!));
        const order = Object.keys(original.metadata);
        await original.close();
        expect(Object.keys(metadata ?? {}).toSorted()).toEqual(order.toSorted());
        const ordered = metadata && Object.fromEntries(order.map((key) => [key, metadata[key]!]));
        expect(sameBytes(await encodeSafetensors(tensors, { metadata: ordered }), expected)).toBe(true);
      }
    } finally {
      await store.close();
    }
  });
});

async function compare(tensors: Parameters<typeof storeOf>[0], expected: GoldenTensors): Promise<void> {
  const store = await storeOf(tensors);
  expect([...store.tensors.keys()].toSorted()).toEqual(Object.keys(expected).toSorted());
  for (const [name, { values, shape }] of Object.entries(expected)) {
    expect(store.tensors.get(name)!.shape).toEqual(shape);
    // The file's own tolerance for float32.
    expect(await store.readFloat32(name)).toBeAllClose(Float32Array.from(values), { atol: 1e-6 });
  }
}
