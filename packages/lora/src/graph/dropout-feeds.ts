import { evaluateDim } from '@musubi/onnx-graph';
import type { Graph, HostTensor } from '@musubi/onnx-graph';
import type { Adapter } from '../adapter.ts';
import { drawDropout, hasDropout } from '../dropout.ts';
import type { DropoutOptions, UniformSource } from '../dropout.ts';
import { dropoutName } from './updates.ts';

/** Draws the masks of a step; `feeds` are those of the model, whose shapes give the sizes. */
export type DropoutFeeds = (
  feeds: Readonly<Record<string, HostTensor>>,
  source: UniformSource,
) => Record<string, HostTensor>;

/**
 * Plans the masks that `injectLora` made inputs of, in the order in which the model computes its layers.
 *
 * @returns null when nothing is dropped
 */
export function planDropout(graph: Graph, adapter: Adapter, dropout: DropoutOptions, prefix = ''): DropoutFeeds | null {
  const modules = new Map(adapter.modules.map((module) => [`${prefix}${dropoutName(module)}`, module]));
  const masks = graph.inputs.flatMap(({ name, shape }) => {
    const module = modules.get(name);
    return module && hasDropout(dropout, module.kind) ? [{ name, shape, kind: module.kind ?? 'lora' }] : [];
  });
  if (masks.length === 0) return null;
  const others = graph.inputs.filter(({ name }) => !modules.has(name));

  return (feeds, source) => {
    const sizes = new Map<string, number>();
    for (const { name, shape } of others) {
      shape.forEach((dim, axis) => {
        const size = feeds[name]?.shape[axis];
        if (typeof dim === 'string' && size !== undefined) sizes.set(dim, size);
      });
    }
    const drawn: Record<string, HostTensor> = {};
    for (const { name, kind, shape: symbolic } of masks) {
      const shape = symbolic.map((dim) => evaluateDim(dim, sizes));
      drawn[name] = { dtype: 'float32', shape, data: drawDropout({ kind, shape }, dropout, source) };
    }
    return drawn;
  };
}
