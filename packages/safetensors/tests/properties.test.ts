import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bytesPerElement,
  bytesSource,
  encodeSafetensors,
  openSafetensors,
  openShards,
  parseShardIndex,
  SAFETENSORS_DTYPES,
} from '../src/index.ts';
import { makeFile } from './make-file.ts';

const tensor = fc
  .record({
    name: fc.string({ unit: 'binary' }).filter((name) => name !== '__metadata__'),
    dtype: fc.constantFrom(...SAFETENSORS_DTYPES),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
  })
  .chain(({ name, dtype, shape }) => {
    const length = shape.reduce((product, size) => product * size, bytesPerElement(dtype));
    return fc.uint8Array({ minLength: length, maxLength: length }).map((data) => ({ name, dtype, shape, data }));
  });
const file = fc.record({
  tensors: fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 }),
  metadata: fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { noNullPrototype: true }),
});

/** Opens and reads everything; true when it worked, and fails on any error that is not a SafetensorsError. */
async function survives(bytes: Uint8Array): Promise<boolean> {
  try {
    const store = await openSafetensors(bytesSource(bytes));
    for (const name of store.tensors.keys()) {
      await store.read(name);
      await store.readFloat32(name);
    }
    return true;
  } catch (error) {
    expect(error).toMatchObject({ name: 'SafetensorsError', remedy: expect.stringMatching(/./) });
    return false;
  }
}

test('what is written is read again', async () => {
  await fc.assert(
    fc.asyncProperty(file, async ({ tensors, metadata }) => {
      const store = await openSafetensors(bytesSource(await encodeSafetensors(tensors, { metadata })));
      expect(Object.entries(store.metadata).toSorted()).toEqual(Object.entries(metadata).toSorted());
      expect(new Set(store.tensors.keys())).toEqual(new Set(tensors.map(({ name }) => name)));
      for (const { name, dtype, shape, data } of tensors) {
        expect(store.tensors.get(name)).toMatchObject({ dtype, shape, byteLength: data.byteLength });
        expect(await store.read(name)).toEqual(data);
      }
    }),
  );
});

test('the order in which tensors are given does not change the file', async () => {
  await fc.assert(
    fc.asyncProperty(file, async ({ tensors, metadata }) => {
      expect(await encodeSafetensors(tensors.toReversed(), { metadata })).toEqual(
        await encodeSafetensors(tensors, { metadata }),
      );
    }),
  );
});

test('every file cut short is refused', async () => {
  await fc.assert(
    fc.asyncProperty(file, fc.nat(), async ({ tensors }, cut) => {
      const bytes = await encodeSafetensors(tensors);
      expect(await survives(bytes.subarray(0, cut % bytes.byteLength))).toBe(false);
    }),
  );
});

test('changed bytes give a file or a SafetensorsError', async () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(file, changes, async ({ tensors, metadata }, edits) => {
      const bytes = await encodeSafetensors(tensors, { metadata });
      for (const [place, value] of edits) bytes[place % bytes.byteLength] = value;
      await survives(bytes);
    }),
    { numRuns: 500 },
  );
});

test('any bytes give a file or a SafetensorsError', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => void (await survives(bytes))));
});

const odd = fc.oneof(
  fc.json().map((text) => JSON.parse(text) as unknown),
  fc.double(),
  fc.constantFrom(-1, 2 ** 53, 2 ** 63, null),
);
const hostileEntry = fc.record(
  {
    dtype: fc.oneof(fc.constantFrom<unknown>(...SAFETENSORS_DTYPES), odd),
    shape: fc.oneof(fc.array(fc.oneof(fc.nat(8), odd), { maxLength: 4 }), odd),
    data_offsets: fc.oneof(fc.array(fc.oneof(fc.nat(64), odd), { maxLength: 3 }), odd),
  },
  { requiredKeys: [] },
);

test('any header gives a file or a SafetensorsError', async () => {
  const header = fc.dictionary(
    fc.oneof(fc.string(), fc.constantFrom('__metadata__', '__proto__')),
    fc.oneof(hostileEntry, odd),
  );
  await fc.assert(
    fc.asyncProperty(header, fc.uint8Array(), async (root, data) => void (await survives(makeFile(root, data)))),
    { numRuns: 500 },
  );
});

test('any index gives a store or a SafetensorsError', async () => {
  const index = fc.oneof(
    fc.record({ weight_map: fc.oneof(fc.dictionary(fc.string(), fc.oneof(fc.string(), odd)), odd) }),
    odd,
  );
  await fc.assert(
    fc.asyncProperty(index, async (root) => {
      try {
        await openShards([bytesSource(makeFile({}), 'a')], parseShardIndex(JSON.stringify(root) ?? '', 'i'));
      } catch (error) {
        expect(error).toMatchObject({ name: 'SafetensorsError' });
      }
    }),
  );
});
