import type { DataType } from '@musubi/onnx-graph';
import type { NodeWork, Product } from '@musubi/onnx-graph/analysis';
import type { MemoryPlan, Runtime } from '@musubi/runtime';

import { productFlops } from '@musubi/onnx-graph/analysis';

import type { Device } from '../choose-device.ts';

import { type DeviceSpeed, type Passage, mainProducts, passageOf, typicalElements } from '../../estimate/step-time.ts';
import { type Build, codesFile, codesProductOf, passes, productOf, rowLength, zeroCodes } from './probe-graphs.ts';
import { type Where, secondsOf } from './time-node.ts';

/** Time that the runs of all measurements may take together. */
const budgetSeconds = 2;
/**
 * After so long nothing more is begun but the main product: in software WebGPU compiles for 2.5 s whenever a session first
 * multiplies.
 */
const mostSeconds = 6;
const mostShapes = 8;
const passages = ['arithmetic', 'function', 'softmax', 'transpose'] as const;
const allPassages: readonly Passage[] = [...passages, 'dequantize'];

/** So small that any device does it in a moment: it tells how much to give it. */
const firstProduct: Product = { batch: 1, m: 64, k: 256, n: 256 };
const firstElements = 2 ** 16;
/** What is expected of them: a device of some years ago. */
const usual = { flopsPerSecond: 1e10, secondsPerByte: 1e-9 };
/** Runs of a node in a measurement: three of a graph with it and of one with it and three more. */
const runsOfNode = 15;
/** With fewer rows a product is slower, as reading its weight counts; with fewer still it tells little. */
const [goodRows, leastRows] = [128, 16];
const leastSide = 128;
/** A node may take so many times its share, rather than have fewer rows, or shorter ones. */
const patience = 4;
/** Where the device is so many times as fast as expected, more is given to it. */
const muchFaster = 4;
const [leastElements, mostElements] = [2 ** 14, 2 ** 24];
/** A function may take so many times as long as arithmetic. */
const slowerFunction = 5;

/**
 * Measures how fast the device does what `work` consists of: its main products, and passes over its tensors. Two small
 * graphs tell how much of each it does in its share of the time. What is not measured in time, or cannot be, is said and
 * taken to be like what was.
 */
export async function probeDevice(
  runtime: Runtime,
  work: readonly NodeWork[],
  memory: MemoryPlan,
  { provider, deviceId }: Device,
  logger: (line: string) => void = () => {},
): Promise<DeviceSpeed> {
  const where = { memory, providers: [provider], deviceId };
  const wanted = mainProducts(work, 0.97, mostShapes);
  const codes = work.find(({ node }) => passageOf(node) === 'dequantize')?.node.inputs[0]?.dtype;
  const wantedPassages = [...passages, ...(codes === undefined ? [] : (['dequantize'] as const))];
  const budget = budgetSeconds / (wanted.length + wantedPassages.length);
  const timed: Timed = (build, expected, more = {}) =>
    secondsOf(runtime, build, { ...where, ...more }, { budget, expected });
  const attempts = createAttempts();

  const arithmetic = await passSpeed('arithmetic', { elements: firstElements, expected: usual.secondsPerByte }, timed);
  const ofShare = budget / runsOfNode / slowerFunction / (arithmetic * passes.arithmetic(1).bytes);
  const elements = clamp(Math.min(ofShare * rowLength, typicalElements(work)), leastElements, mostElements);
  let flopsPerSecond = productFlops(firstProduct) / (await productSeconds(firstProduct, usual.flopsPerSecond, timed));
  const products: { product: Product; flopsPerSecond: number }[] = [];
  const secondsPerByte = Object.fromEntries(allPassages.map((passage) => [passage, arithmetic])) as PassageSpeeds;

  for (const passage of wantedPassages) {
    const found = await attempts.attempt(passage, () =>
      passSpeed(passage, { elements, expected: arithmetic, ...(codes ? { codes } : {}) }, timed),
    );
    if (found !== null) secondsPerByte[passage] = found;
  }
  for (const [index, product] of wanted.entries()) {
    const { m, k, n } = product;
    const measure = () => productSpeed(product, flopsPerSecond, { budget, timed });
    const found = await attempts.attempt(`a product of ${m}x${k}x${n}`, measure, index === 0);
    if (found === null) continue;
    flopsPerSecond = found;
    products.push({ product, flopsPerSecond });
  }
  attempts.tell(logger);
  if (products.length === 0) products.push({ product: firstProduct, flopsPerSecond });
  return { products, secondsPerByte };
}

type PassageSpeeds = Record<Passage, number>;
type Timed = (build: Build, expected: number, more?: Partial<Where>) => Promise<number>;

/** @param expected seconds a byte of arithmetic */
async function passSpeed(
  passage: Passage,
  { elements, expected, codes }: { readonly elements: number; readonly expected: number; readonly codes?: DataType },
  timed: Timed,
): Promise<number> {
  const { bytes, build } = passes[passage](Math.ceil(elements / rowLength), codes);
  return (await timed(build, bytes * expected)) / bytes;
}

/** @param expected FLOP/s */
function productSeconds(product: Product, expected: number, timed: Timed): Promise<number> {
  const seconds = productFlops(product) / expected;
  return product.weightBits
    ? timed((graph) => codesProductOf(graph, product), seconds, { externalData: { [codesFile]: zeroCodes(product) } })
    : timed((graph) => productOf(graph, product), seconds);
}

/** FLOP/s of a product, of as much of it as the device computes in its share; more where it turns out to be faster. */
async function productSpeed(
  product: Product,
  expected: number,
  { budget, timed }: { readonly budget: number; readonly timed: Timed },
): Promise<number> {
  const part = cut(product, (expected * budget) / runsOfNode);
  const found = productFlops(part) / (await productSeconds(part, expected, timed));
  const isWhole = productFlops(part) === productFlops(product);
  return isWhole || found < muchFaster * expected ? found : productSpeed(product, found, { budget, timed });
}

/** Fewer matrices, then fewer rows, then shorter ones, for about so many operations. */
export function cut(product: Product, flops: number): Product {
  const ofRows = (m: number) => productFlops({ ...product, batch: 1, m });
  const rows = Math.floor(flops / ofRows(1));
  const enough = ofRows(goodRows) <= patience * flops ? goodRows : leastRows;
  const m = Math.min(product.m, Math.max(enough, rows));
  const batch = clamp(Math.floor(flops / ofRows(m)), 1, product.batch);
  let part: Product = { ...product, batch, m };
  // Codes come in blocks along their sides.
  while (!part.weightBits && productFlops(part) > patience * flops) {
    const side = part.k > part.n ? 'k' : 'n';
    if (part[side] < 2 * leastSide) break;
    part = { ...part, [side]: Math.floor(part[side] / 2) };
  }
  return part;
}

/** What is measured while there is time, and what is not. */
function createAttempts() {
  const end = performance.now() + 1000 * mostSeconds;
  const [late, failed]: [string[], string[]] = [[], []];
  return {
    /** @param always however late it is */
    async attempt(name: string, measure: () => Promise<number>, always = false): Promise<number | null> {
      if (!always && performance.now() > end) {
        late.push(name);
        return null;
      }
      try {
        return await measure();
      } catch (error) {
        const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
        failed.push(`${name} (${reason})`);
        return null;
      }
    },
    tell(logger: (line: string) => void): void {
      const like = 'taken to be like what was measured';
      if (late.length > 0) logger(`This device is slow to measure. Its time for these is ${like}: ${late.join(', ')}.`);
      if (failed.length > 0) logger(`This could not be measured and is ${like}: ${failed.join('; ')}.`);
    },
  };
}

const clamp = (x: number, least: number, most: number): number => Math.min(most, Math.max(least, x));
