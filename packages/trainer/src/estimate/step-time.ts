import type { Node } from '@musubi/onnx-graph';
import type { NodeWork, Product } from '@musubi/onnx-graph/analysis';

import { productFlops } from '@musubi/onnx-graph/analysis';

import { secondsPerNode } from './constants.ts';

/** What is done with tensors beside products, by what its time depends on. */
export type Passage = 'arithmetic' | 'function' | 'softmax' | 'transpose' | 'dequantize';

/** How fast a device is. */
export interface DeviceSpeed {
  /** FLOP/s of products, measured at these shapes. */
  readonly products: readonly { readonly product: Product; readonly flopsPerSecond: number }[];
  /** Seconds a byte read or written. */
  readonly secondsPerByte: Readonly<Record<Passage, number>>;
}

const functions: ReadonlySet<string> = new Set(
  ['Gelu', 'QuickGelu', 'Erf', 'Tanh', 'Sigmoid', 'Exp', 'Log', 'Pow', 'Sin', 'Cos', 'LayerNormalization'].concat(
    'SimplifiedLayerNormalization',
  ),
);

export function passageOf({ op, inputs }: Pick<Node, 'op' | 'inputs'>): Passage {
  if (op === 'DequantizeLinear' || inputs[0]?.dtype.startsWith('float8')) return 'dequantize';
  if (op === 'Softmax') return 'softmax';
  if (op === 'Transpose' || op === 'RotaryEmbedding') return 'transpose';
  return functions.has(op) ? 'function' : 'arithmetic';
}

/** Time of a graph whose nodes have this to do: products at their speed, everything else by the bytes it moves. */
export function graphSeconds(work: readonly NodeWork[], speed: DeviceSpeed): number {
  return work.reduce((sum, node) => sum + secondsPerNode + nodeSeconds(node, speed), 0);
}

function nodeSeconds({ node, products, bytes }: NodeWork, speed: DeviceSpeed): number {
  if (products.length === 0) return bytes * speed.secondsPerByte[passageOf(node)];
  return products.reduce((sum, product) => sum + productFlops(product) / nearestSpeed(product, speed), 0);
}

/** The speed of the measured product whose sides are nearest, by their ratios. */
function nearestSpeed(product: Product, { products }: DeviceSpeed): number {
  let [best, distance] = [Number.NaN, Infinity];
  const isAlike = (other: Product) => other.weightBits === product.weightBits && other.dtype === product.dtype;
  const alike = products.filter(({ product: measured }) => isAlike(measured));
  for (const { product: measured, flopsPerSecond } of alike.length > 0 ? alike : products) {
    const ratio = (side: 'm' | 'k' | 'n') => Math.abs(Math.log(product[side] / measured[side]));
    const d = ratio('m') + ratio('k') + ratio('n');
    if (d < distance) [best, distance] = [flopsPerSecond, d];
  }
  return best;
}

/**
 * The products whose speed is worth measuring: those with most of the work, until `share` of it is covered.
 *
 * @param most at most so many shapes
 */
export function mainProducts(work: readonly NodeWork[], share: number, most: number): Product[] {
  const totals = new Map<string, { product: Product; flops: number }>();
  for (const product of work.flatMap((node) => node.products)) {
    // Many small ones run at the speed of one.
    const key = [product.m, product.k, product.n, product.batch > 1, product.weightBits, product.dtype].join();
    const flops = (totals.get(key)?.flops ?? 0) + productFlops(product);
    totals.set(key, { product: totals.get(key)?.product ?? product, flops });
  }
  const sorted = [...totals.values()].toSorted((a, b) => b.flops - a.flops);
  const all = sorted.reduce((sum, { flops }) => sum + flops, 0);
  let covered = 0;
  const chosen: Product[] = [];
  for (const { product, flops } of sorted) {
    if (chosen.length >= most || covered >= share * all) break;
    chosen.push(product);
    covered += flops;
  }
  return chosen;
}

/** Elements of a tensor of the size that most bytes are in. */
export function typicalElements(work: readonly NodeWork[]): number {
  const sizes = work.filter(({ products }) => products.length === 0).map(({ bytes }) => bytes);
  const total = sizes.reduce((a, b) => a + b, 0);
  const weighted = sizes.reduce((sum, bytes) => sum + bytes * bytes, 0) / Math.max(total, 1);
  return weighted / 12; // two tensors in, one out, four bytes each
}
