import { describe, expect, test } from 'vitest';
import { f32 } from '../tests/make-file.ts';
import { encodeSafetensors, serializeSafetensors } from './index.ts';
import type { SafetensorsDtype, TensorOutline } from './index.ts';

describe('serializeSafetensors', () => {
  test('orders by dtype, then by name in UTF-8', () => {
    const names: [string, SafetensorsDtype][] = [
      ['b', 'F16'],
      ['\u{1f600}', 'F32'],
      ['\uff5e', 'F32'],
      ['a', 'F8_E4M3'],
      ['10', 'BF16'],
      ['9', 'BF16'],
      ['z', 'I64'],
      ['y', 'F64'],
      ['x', 'I32'],
      ['w', 'I16'],
      ['a.b', 'F32'],
      ['a', 'F32'],
    ].map(([name, dtype], i) => [i === 3 ? 'e' : name!, dtype as SafetensorsDtype]);
    const { order } = serializeSafetensors(names.map(([name, dtype]) => ({ name, dtype, shape: [1] })));
    expect(order.map(({ tensor }) => tensor.name)).toEqual([
      'z',
      'y',
      'a',
      'a.b',
      '\uff5e',
      '\u{1f600}',
      'x',
      '10',
      '9',
      'b',
      'w',
      'e',
    ]);
  });

  test('writes compact JSON padded with spaces to a multiple of 8', () => {
    const { header, byteLength } = serializeSafetensors([{ name: 'ä', dtype: 'F32', shape: [2] }], {
      metadata: { k: '"' },
    });
    const text = new TextDecoder().decode(header.subarray(8));
    expect(text.trimEnd()).toBe('{"__metadata__":{"k":"\\""},"ä":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}');
    expect(new DataView(header.buffer).getBigUint64(0, true)).toBe(BigInt(header.byteLength - 8));
    expect(header.byteLength % 8).toBe(0);
    expect(byteLength).toBe(header.byteLength + 8);
  });

  const tensor: TensorOutline = { name: 'a', dtype: 'F32', shape: [1] };
  test.each<[string, TensorOutline[], string]>([
    ['two tensors of one name', [tensor, tensor], 'DUPLICATE_TENSOR'],
    ['the reserved name', [{ ...tensor, name: '__metadata__' }], 'NAME_RESERVED'],
    ['an unknown dtype', [{ ...tensor, dtype: 'F33' as 'F32' }], 'UNKNOWN_DTYPE'],
    ['an impossible shape', [{ ...tensor, shape: [-1] }], 'HEADER_INVALID'],
  ])('refuses %s', (_, tensors, code) => {
    expect(() => serializeSafetensors(tensors)).toThrow(expect.objectContaining({ name: 'SafetensorsError', code }));
  });

  test('refuses metadata that are no texts', () => {
    const metadata = { n: 1 } as unknown as Record<string, string>;
    expect(() => serializeSafetensors([], { metadata })).toThrow(expect.objectContaining({ code: 'HEADER_INVALID' }));
  });
});

test('encodeSafetensors refuses data that do not fit their shape', async () => {
  const tensors = [{ name: 'a', dtype: 'F32', shape: [2], data: async () => f32(1) }] as const;
  await expect(encodeSafetensors(tensors)).rejects.toMatchObject({ code: 'SIZE_MISMATCH', tensor: 'a' });
});
