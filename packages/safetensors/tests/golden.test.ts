import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { goldenFolder, goldenPath, hasGolden, isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { bytesSource, encodeSafetensors, fromFloat32, openSafetensors, toFloat32 } from '../src/index.ts';
import { fileSource, openSafetensorsFile } from '../src/node.ts';

interface Codec {
  decode: Record<Format, (number | string)[]>;
  encode: Record<
    Format,
    {
      input_f32_base64: string;
      codes_base64: string;
      from_bfloat16: { bf16_bits: number[]; codes: number[] };
      from_float16: { f16_bits: number[]; codes: number[] };
    }
  >;
}
type Format = 'e4m3fn' | 'e5m2';

const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));

describe.skipIf(!isDefaultGolden && !hasGolden('maths', 'fp8_codec.json'))('fp8_codec.json', () => {
  const golden = readGoldenJson<Codec>('maths', 'fp8_codec.json');
  describe.each([
    ['e4m3fn', 'F8_E4M3'],
    ['e5m2', 'F8_E5M2'],
  ] as const)('%s', (format, dtype) => {
    const encoded = golden.encode[format];
    test('decodes all codes', () => {
      const codes = Uint8Array.from(golden.decode[format], (_, code) => code);
      expect([...toFloat32(codes, dtype)]).toEqual(golden.decode[format].map(Number));
    });
    test('encodes float32', () => {
      const values = toFloat32(fromBase64(encoded.input_f32_base64), 'F32');
      expect(fromFloat32(values, dtype)).toEqual(fromBase64(encoded.codes_base64));
    });
    test.each([
      ['BF16', encoded.from_bfloat16.bf16_bits, encoded.from_bfloat16.codes],
      ['F16', encoded.from_float16.f16_bits, encoded.from_float16.codes],
    ] as const)('encodes %s', (source, bits, codes) => {
      const values = toFloat32(new Uint8Array(Uint16Array.from(bits).buffer), source);
      expect([...fromFloat32(values, dtype)]).toEqual(codes);
    });
  });
});

const files = readdirSync(goldenFolder, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.safetensors'),
);

test('there are golden files', () => expect(files.length).toBeGreaterThan(0));

const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

describe('safetensors files', () => {
  test.each(files)('%s: read and written again it holds the same', async (name) => {
    const source = await fileSource(goldenPath(name));
    const original = await source.read(0, source.size);
    await source.close();

    const store = await openSafetensorsFile(goldenPath(name));
    const tensors = [];
    for (const { name: tensor, dtype, shape } of store.tensors.values()) {
      tensors.push({ name: tensor, dtype, shape, data: await store.read(tensor) });
      expect((await store.readFloat32(tensor)).length).toBe(shape.reduce((product, size) => product * size, 1));
    }
    await store.close();

    const headerLength = 8 + Number(new DataView(original.buffer).getBigUint64(0, true));
    const header = new TextDecoder().decode(original.subarray(8, headerLength));
    const metadata = header.includes('"__metadata__"') ? store.metadata : undefined;
    const written = await encodeSafetensors(tensors, { metadata });
    const again = await openSafetensors(bytesSource(written));
    for (const { name: tensor, data } of tensors) expect(equal(await again.read(tensor), data)).toBe(true);

    // Two programs wrote these files: the reference library, whose JSON is compact, and the original's own writer, whose
    // JSON has spaces. With the first we agree byte for byte, up to the order of metadata, which is random there.
    if (header.includes('"dtype": ')) return;
    expect(written.byteLength).toBe(original.byteLength);
    expect(equal(written.subarray(headerLength), original.subarray(headerLength))).toBe(true);
    if (Object.keys(store.metadata).length < 2) expect(equal(written, original)).toBe(true);
  });
});
