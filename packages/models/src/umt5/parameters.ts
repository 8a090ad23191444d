import type { Parameter } from '../architecture.ts';
import type { Umt5Config } from './config.ts';

/** Every tensor of a checkpoint, in the order of the model. */
export function umt5Parameters({ vocabulary, width, layers, ...config }: Umt5Config): Parameter[] {
  const blocks = Array.from({ length: layers }, (_, i) => blockParameters(`blocks.${i}`, { width, ...config }));
  return [
    { name: 'token_embedding.weight', shape: [vocabulary, width] },
    ...blocks.flat(),
    { name: 'norm.weight', shape: [width] },
  ];
}

function blockParameters(
  block: string,
  { width, attentionWidth, ffnWidth, heads, buckets }: Omit<Umt5Config, 'vocabulary' | 'layers'>,
): Parameter[] {
  return [
    { name: `${block}.norm1.weight`, shape: [width] },
    { name: `${block}.attn.q.weight`, shape: [attentionWidth, width] },
    { name: `${block}.attn.k.weight`, shape: [attentionWidth, width] },
    { name: `${block}.attn.v.weight`, shape: [attentionWidth, width] },
    { name: `${block}.attn.o.weight`, shape: [width, attentionWidth] },
    { name: `${block}.norm2.weight`, shape: [width] },
    { name: `${block}.ffn.gate.0.weight`, shape: [ffnWidth, width] },
    { name: `${block}.ffn.fc1.weight`, shape: [ffnWidth, width] },
    { name: `${block}.ffn.fc2.weight`, shape: [width, ffnWidth] },
    { name: `${block}.pos_embedding.embedding.weight`, shape: [buckets, heads] },
  ];
}
