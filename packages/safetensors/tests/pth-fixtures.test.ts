import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { TensorStore } from '../src/index.ts';
import { openCheckpointFile } from '../src/node.ts';

interface Expected {
  readonly accepted: Readonly<Record<string, Readonly<Record<string, ExpectedTensor>>>>;
  readonly refused: Readonly<Record<string, string>>;
}

interface ExpectedTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly contiguous: boolean;
  readonly bytes: string;
  readonly float32: readonly string[];
}

const fixture = (name: string) => new URL(`fixtures/pth/${name}`, import.meta.url);
const path = (name: string) => fileURLToPath(fixture(name));
const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Expected;

const DTYPES: Readonly<Record<string, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
};

async function withStore(name: string, use: (store: TensorStore) => Promise<void> | void): Promise<void> {
  const store = await openCheckpointFile(path(name));
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

describe.each(Object.entries(expected.accepted))('%s', (name, tensors) => {
  test('has the names of PyTorch, in its order', () =>
    withStore(name, (store) => expect([...store.tensors.keys()]).toEqual(Object.keys(tensors))));

  test.each(Object.entries(tensors))('%s is what PyTorch has', (key, { dtype, shape, bytes, contiguous, float32 }) =>
    withStore(name, async (store) => {
      const info = store.tensors.get(key)!;
      expect(info).toMatchObject({ dtype: DTYPES[dtype], shape, source: path(name) });
      const read = await store.read(key);
      expect(Buffer.from(read).toString('base64')).toBe(bytes);
      expect(Array.from(await store.readFloat32(key), plainNumber)).toEqual(float32.map((x) => plainNumber(parse(x))));

      const empty = shape.includes(0);
      expect(info.strides === undefined).toBe(contiguous || empty);
      if (!contiguous || empty) return;
      // where it lies, an engine finds the same bytes
      const file = readFileSync(fixture(name));
      expect(file.subarray(info.offset, info.offset + info.byteLength).toString('base64')).toBe(bytes);
    }),
  );
});

const parse = (text: string) => (text === 'inf' ? Infinity : text === '-inf' ? -Infinity : Number(text));
/** Told apart: -0 and 0. Float32 of both sides is compared. */
const plainNumber = (x: number) => (Object.is(x, -0) ? '-0' : String(Math.fround(x)));

test('tied tensors lie in one place', () =>
  withStore('tied.pth', ({ tensors }) => {
    expect(tensors.get('head.weight')!.offset).toBe(tensors.get('embed.weight')!.offset);
    expect(tensors.get('part')!.offset).toBe(tensors.get('embed.weight')!.offset + 12);
  }));

test.each(Object.entries(expected.refused))('%s is refused', async (name, code) => {
  const error = await openCheckpointFile(path(name)).catch((e: unknown) => e);
  expect(error).toMatchObject({
    name: 'SafetensorsError',
    code,
    file: path(name),
    remedy: expect.stringMatching(/\S/),
  });
});

const message = async (name: string) =>
  (await openCheckpointFile(path(name)).catch((e: Error) => e.message)).toString().replace(path(name), name);

test('messages say what was found and what to do', async () => {
  const names = [
    'old-format.pth',
    'whole-module.pth',
    'generator.pth',
    'two-models.pth',
    'huge-view.pth',
    'script.pth',
    'negated.pth',
  ];
  expect((await Promise.all(names.map(message))).join('\n')).toMatchInlineSnapshot(`
    "old-format.pth: is of the format before PyTorch 1.6. Convert it once where PyTorch is: python -c "import torch; torch.save(torch.load('old.pth', map_location='cpu', weights_only=True), 'new.pth')".
    whole-module.pth: its pickle wants "torch.nn.modules.linear.Linear", which no file of weights needs. Nothing was executed. If you trust its origin, load it in PyTorch and save only its weights: torch.save(model.state_dict(), path).
    generator.pth: its root has tensors only below "generator". Weights are looked for at the root and under state_dict, model_state_dict, model, module, params, weights: save them there.
    two-models.pth: its root has tensors under "model" and "module". Save the one that you mean: torch.save(checkpoint["…"], path).
    huge-view.pth: tensor "w" would have 4398046511104 bytes, the whole file has 1190: it is an expanded view. In PyTorch, save it as tensor.clone().contiguous(), or save what was expanded.
    script.pth: is a TorchScript program, not a checkpoint. In PyTorch: torch.save(torch.jit.load(path).state_dict(), "weights.pth").
    negated.pth: a part of its pickle is a lazily negated or conjugated view (before byte 173). In PyTorch, save tensor.resolve_neg()."
  `);
});
