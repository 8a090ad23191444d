import { blobSource, bytesSource, encodeSafetensors, fromFloat32, openSafetensors } from '@musubi/safetensors';
import { describe, expect, test } from 'vitest';
import { quantizeTensors, quantizeToBlob } from './index.ts';
import type { QuantizeToBlobOptions } from './index.ts';

const targets = { include: ['layers.'], exclude: ['norm'] };
const tensor = (name: string, shape: readonly number[]) => {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length: count }, (_, i) => Math.sin(i * count + name.length));
  return { name, shape, dtype: 'BF16', data: fromFloat32(values, 'BF16') } as const;
};
const tensors = [
  tensor('embed.weight', [5, 16]),
  ...Array.from({ length: 6 }, (_, i) => tensor(`layers.${i}.weight`, [4, 128])),
  tensor('layers.0.norm.weight', [128]),
];

const open = async (metadata?: Record<string, string>) =>
  openSafetensors(bytesSource(await encodeSafetensors(tensors, metadata ? { metadata } : {})));

const methods: readonly Partial<QuantizeToBlobOptions>[] = [{}, { wide: true }, { method: 'int8' }, { method: 'cast' }];

describe('quantizeToBlob', () => {
  test.each(methods)('is the file of what quantizeTensors makes: %o', async (options) => {
    const store = await open({ title: 'a model' });
    const { blob, report } = await quantizeToBlob(store, { targets, ...options, metadata: { key: 'k' } });
    const made = await quantizeTensors(store, { targets, ...options });
    const expected = await encodeSafetensors(made.tensors, { metadata: { title: 'a model', key: 'k' } });
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(expected);
    expect(report).toEqual(made.report);
  });

  test('has no metadata where there are none', async () => {
    const { blob } = await quantizeToBlob(await open(), { targets });
    const text = await blob.slice(0, 200).text();
    expect(text).not.toContain('__metadata__');
    const { tensors: found } = await openSafetensors(blobSource(blob));
    expect(found.get('layers.0.weight')).toMatchObject({ dtype: 'F8_E4M3', shape: [4, 128] });
    expect(found.get('layers.0.scale_weight')).toMatchObject({ dtype: 'BF16', shape: [4, 2, 1] });
  });

  test('reads a tensor only when the one before it has become a part', async () => {
    const store = await open();
    const events: string[] = [];
    const Plain = globalThis.Blob;
    globalThis.Blob = class extends Plain {
      constructor(parts: BlobPart[] = []) {
        super(parts);
        if (parts.every((part) => part instanceof Uint8Array)) events.push(`part of ${this.size}`);
      }
    } as typeof Blob;
    try {
      const read = async (name: string) => {
        events.push(`read ${name}`);
        return store.read(name);
      };
      await quantizeToBlob({ ...store, read }, { targets });
    } finally {
      globalThis.Blob = Plain;
    }
    const weights = tensors.filter(({ name }) => /layers\.\d\.weight/.test(name));
    expect(events).toEqual([
      ...weights.flatMap(({ name }) => [`read ${name}`, `part of ${4 * 128}`, `part of ${4 * 2 * 2}`]),
      'read embed.weight',
      `part of ${5 * 16 * 2}`,
      'read layers.0.norm.weight',
      'part of 256',
    ]);
  });

  test('tells of each weight, and ends when it is called off', async () => {
    const calling = new AbortController();
    const seen: string[] = [];
    const run = quantizeToBlob(await open(), {
      targets,
      signal: calling.signal,
      onWeight: ({ name }) => {
        seen.push(name);
        if (seen.length === 2) calling.abort();
      },
    });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    expect(seen).toEqual(['layers.0.weight', 'layers.1.weight']);
  });
});
