import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openPth } from '../src/pth.ts';
import { isRowMajor, spanOf, toRowMajor } from '../src/strided.ts';
import {
  bytes,
  dict,
  global,
  integer,
  none,
  pickle,
  record,
  reduce,
  storage,
  tensor,
  text,
  tuple,
} from './make-pickle.ts';
import type { Code } from './make-pickle.ts';
import { countingSource, makePth, pthOf } from './make-pth.ts';
import type { PthShape } from './make-pth.ts';

/** Opens a file and reads all of it, or finds that it is refused with our error; either way within the file's size. */
async function survives(file: Uint8Array): Promise<boolean> {
  const source = countingSource(file);
  let opened = false;
  try {
    const store = await openPth(source);
    opened = true;
    expect(source.asked.total).toBeLessThanOrEqual(3 * file.length + 512);
    for (const [name, info] of store.tensors) {
      expect(info.offset + info.byteLength).toBeLessThanOrEqual(file.length);
      expect((await store.read(name)).length).toBeLessThanOrEqual(file.length);
    }
  } catch (error) {
    expect(error).toMatchObject({ name: 'SafetensorsError', remedy: expect.stringMatching(/\S/) });
  }
  expect(source.asked.largest).toBeLessThanOrEqual(file.length);
  return opened;
}

/** A view of the floats 0, 1, … with its shape and strides. */
const view = fc
  .array(fc.tuple(fc.nat(4), fc.nat(5)), { maxLength: 4 })
  .chain((axes) => fc.record({ axes: fc.constant(axes), offset: fc.nat(5), spare: fc.nat(3) }))
  .map(({ axes, offset, spare }) => {
    const shape = axes.map(([size]) => size);
    const strides = axes.map(([, stride]) => stride);
    return { shape, strides, offset, count: offset + spanOf(shape, strides) + spare };
  });

const floats = (count: number) => Float32Array.from({ length: count }, (_, i) => i);
const shapeOf = (sizes: readonly number[]): Code => bytes('(', ...sizes.map(integer), 't');

const zipShape: fc.Arbitrary<PthShape> = fc.record(
  {
    zip64: fc.boolean(),
    descriptors: fc.boolean(),
    comment: fc.stringMatching(/^[a-z]{0,9}$/),
    folder: fc.constantFrom('archive', 'dit', 'ü 1', 'x.y'),
    byteorder: fc.constantFrom('little', null),
  },
  { requiredKeys: [] },
);

test('any view of a storage gives the elements that its strides name', async () => {
  await fc.assert(
    fc.asyncProperty(view, zipShape, async ({ shape, strides, offset, count }, zip) => {
      const code = tensor({
        storage: storage({ count: integer(count) }),
        offset: integer(offset),
        shape: shapeOf(shape),
        strides: shapeOf(strides),
      });
      const filler = new Uint8Array(4 * 5 ** 4); // so that no view is larger than the file
      const storages = { '0': new Uint8Array(floats(count).buffer), filler };
      const source = countingSource(pthOf(code, { ...zip, storages }));
      const store = await openPth(source);
      const expected = indices(shape).map((index) => index.reduce((at, i, axis) => at + i * strides[axis]!, offset));
      expect(Array.from(await store.readFloat32('w'))).toEqual(expected);
      expect(new Float32Array((await store.read('w')).buffer)).toEqual(Float32Array.from(expected));

      const info = store.tensors.get('w')!;
      expect(info.strides === undefined).toBe(isRowMajor(shape, strides));
      if (info.strides) return;
      const inPlace = await source.read(info.offset, info.byteLength);
      expect(new Float32Array(inPlace.buffer)).toEqual(Float32Array.from(expected));
    }),
    { numRuns: 300 },
  );
});

/** All indices of a shape in row-major order. */
function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (found, size) => found.flatMap((index) => Array.from({ length: size }, (_, i) => [...index, i])),
    [[]],
  );
}

test('row-major tensors are copied as they are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
      fc.constantFrom(1, 2, 4, 8),
      (shape, width) => {
        const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
        const data = Uint8Array.from({ length: spanOf(shape, strides) * width }, (_, i) => i);
        expect(isRowMajor(shape, strides)).toBe(true);
        expect(toRowMajor(data, shape, strides, width)).toEqual(data);
      },
    ),
  );
});

const samples = [
  ...readdirSync(new URL('fixtures/pth/', import.meta.url))
    .filter((name) => name.endsWith('.pth'))
    .map((name) => new Uint8Array(readFileSync(new URL(`fixtures/pth/${name}`, import.meta.url)))),
  pthOf(tensor(), { zip64: true }),
  pthOf(tensor(), { descriptors: true, comment: 'comment' }),
];
const sample = fc.nat(samples.length - 1).map((i) => samples[i]!);

test('changed bytes give a store or a SafetensorsError', async () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  let opened = 0;
  await fc.assert(
    fc.asyncProperty(sample, changes, async (original, edits) => {
      const file = original.slice();
      for (const [place, value] of edits) file[place % file.length] = value;
      if (await survives(file)) opened++;
    }),
    { numRuns: 2000 },
  );
  expect(opened).toBeGreaterThan(0); // some changes hit numbers of a tensor
});

test('every file cut short is refused', async () => {
  await fc.assert(
    fc.asyncProperty(sample, fc.nat(), async (original, cut) => {
      expect(await survives(original.subarray(0, cut % original.length))).toBe(false);
    }),
    { numRuns: 500 },
  );
});

test('any bytes give a SafetensorsError', async () => {
  const start = fc.constantFrom('', 'PK\x03\x04', 'PK\x05\x06');
  await fc.assert(
    fc.asyncProperty(start, fc.uint8Array({ maxLength: 200 }), async (letters, rest) => {
      expect(await survives(bytes(letters, rest))).toBe(false);
    }),
  );
});

/** Pickles made of real opcodes in any order: much deeper into the machine than random bytes come. */
const opcode = fc.constantFrom<Code>(
  ...['(', '.', '0', '1', '2', 'N', 'Q', 'R', 'a', 'b', 'd', 'e', ']', '}', ')', 's', 't', 'u', 'l', 'o'].map((c) =>
    bytes(c),
  ),
  ...[0x81, 0x85, 0x86, 0x87, 0x88, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94].map((c) => bytes(c)),
  ...['h\0', 'h\x01', 'q\0', 'q\x01', 'K\x03', 'j\x01\0\0\0'].map((c) => bytes(c)),
  ...['', 'storage', '0', 'state_dict', 'w'].map(text),
  global('torch', 'FloatStorage'),
  global('torch', 'bfloat16'),
  global('torch', 'Size'),
  global('torch._utils', '_rebuild_tensor_v2'),
  global('torch._utils', '_rebuild_tensor_v3'),
  global('torch._utils', '_rebuild_parameter'),
  global('torch._tensor', '_rebuild_from_type_v2'),
  global('collections', 'OrderedDict'),
  global('builtins', 'set'),
  global('_codecs', 'encode'),
  storage(),
  tensor(),
  tuple(integer(2), integer(3)),
);

test('any opcodes in any order give a store or a SafetensorsError', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(opcode, { maxLength: 30 }), async (codes) => {
      await survives(makePth(bytes(0x80, 4, ...codes, '.')));
      await survives(makePth(bytes(0x80, 4, '}(', text('w'), tensor(), text('x'), ...codes, 'u.')));
    }),
    { numRuns: 1000 },
  );
});

const leaf = fc.oneof(
  fc.constant(none),
  fc.string().map(text),
  fc.maxSafeInteger().map(integer),
  fc.constant(tensor()),
  fc.constant(global('torch', 'float32')),
);
const { value } = fc.letrec<{ value: Code }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }).map((items) => tuple(...items)),
    fc.array(fc.tuple(leaf, tie('value')), { maxLength: 4 }).map(dict),
    fc.dictionary(fc.constantFrom('state_dict', 'model', 'w', 'x'), tie('value'), { maxKeys: 3 }).map(record),
    tie('value').map((inner) => reduce(global('torch._utils', '_rebuild_parameter'), inner)),
  ),
}));

test('any containers give a store or a SafetensorsError', async () => {
  await fc.assert(
    fc.asyncProperty(value, async (code) => void (await survives(makePth(pickle(code))))),
    { numRuns: 500 },
  );
});
