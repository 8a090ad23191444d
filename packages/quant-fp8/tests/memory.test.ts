import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Graph,
  apply,
  createParams,
  encodeModel,
  expand,
  fuseProducts,
  matmul,
  reshape,
  transpose,
} from '@musubi/onnx-graph';
import type { Params, ParameterSource, Value } from '@musubi/onnx-graph';
import type { MemoryPlan } from '@musubi/runtime';
import { serializeSafetensors } from '@musubi/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DequantizeOptions, type Int8Options, dequantizeFp8, lowerInt8 } from '../src/graph.ts';
import { buildPackage, packageFolder, runScript } from '../../runtime/tests/built-package.ts';
import { temporaryFolder } from './fixtures.ts';

const [size, layers, block] = [2048, 75, 64];
/** Enough to see what a base costs whose weights all widen at once. */
const few = 20;
const MiB = 2 ** 20;
/** Of all layers. */
const codesMiB = (layers * size * size) / MiB;

/** What the base may cost. One weight as float32 takes 16 MiB, and at the change of layers there are two. */
const most = 80;

type Kind = 'fp8' | 'unscaled' | 'int8';

/** How runs of training rewrite the weights, by what computes them; here a CPU computes all of it. */
const forms: Readonly<Record<string, Form>> = {
  'fp8, bits: a CPU': { kind: 'fp8', lower: fp8({ codes: 'bits' }) },
  'fp8, a table: WebAssembly': { kind: 'fp8', lower: fp8({ codes: 'table', style: 'cast' }) },
  'fp8, a table behind DequantizeLinear: WebGPU': { kind: 'fp8', lower: fp8({ codes: 'table' }), product: 'Gemm' },
  'fp8, DequantizeLinear: CUDA': { kind: 'fp8', lower: fp8({}) },
  'fp8 without scales, bits: a CPU': { kind: 'unscaled', lower: fp8({ codes: 'bits' }) },
  'int8, Cast: a CPU': { kind: 'int8', lower: int8({ style: 'cast', forward: 'dequantize' }) },
  'int8, DequantizeLinear: CUDA': { kind: 'int8', lower: int8({ forward: 'dequantize' }) },
  'int8, DequantizeLinear: WebGPU': { kind: 'int8', lower: int8({ forward: 'dequantize' }), product: 'Gemm' },
};

interface Form {
  readonly kind: Kind;
  readonly lower: Lower;
  /** What products become; default `FusedMatMul`. */
  readonly product?: 'Gemm';
}
type Lower = (graph: Graph, source: ParameterSource) => Graph;

function fp8(options: DequantizeOptions): Lower {
  return (graph, source) => dequantizeFp8(graph, source, { round: false, ...options });
}
function int8(options: Int8Options): Lower {
  return (graph, source) => lowerInt8(graph, source, options);
}

// Linux tells anonymous memory (copies) from mapped files.
describe.runIf(process.platform === 'linux')(`an 8-bit base of ${codesMiB} MiB`, () => {
  const built = mkdtempSync(join(tmpdir(), 'musubi built '));
  beforeAll(() => buildPackage(built));
  afterAll(() => rmSync(built, { recursive: true, force: true, maxRetries: 5 }));

  /**
   * Anonymous memory in MiB that a session and its second run add, in a process of its own.
   *
   * @param lower null: as a model does that dequantizes its weights itself
   */
  async function addedMemory(
    kind: Kind,
    lower: Lower | null,
    { count = layers, packs = false, ...form }: { count?: number; packs?: boolean; product?: 'Gemm' } = {},
  ) {
    const folder = temporaryFolder();
    const source = writeBase(join(folder, 'base.safetensors'), kind, count);
    const graph = new Graph('layers');
    const params = createParams(graph, source);
    const weights = Array.from({ length: count }, (_, i) =>
      lower ? params.at(i).tensor('weight', [size, size]) : scaledAtOnce(params.at(i), kind),
    );
    let y = graph.input('x', 'float32', ['B', 't', size]);
    for (const weight of weights) y = matmul(y, transpose(weight, [1, 0]));
    // Each weight is used again, as by the backward pass.
    for (const weight of weights.toReversed()) y = matmul(y, weight);
    graph.output('y', y);
    const fused = fuseProducts(graph, form);
    writeFileSync(join(folder, 'model.onnx'), encodeModel(lower ? lower(fused, source) : fused));
    const memory = {
      prepackWeights: packs,
      arena: true,
      memoryPattern: false,
      foldConstants: false,
    } satisfies MemoryPlan;
    const { status, stdout, stderr } = await runScript(
      built,
      packageFolder,
      `import { readFileSync, writeFileSync } from 'node:fs';
       const read = (what) => 1024 * Number(new RegExp(what + ':\\\\s+(\\\\d+) kB').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
       const runtime = await createNodeRuntime();
       const model = readFileSync(${JSON.stringify(join(folder, 'model.onnx'))});
       const before = read('RssAnon');
       const session = await runtime.createSession({ externalDataFolder: ${JSON.stringify(folder)}, model, memory: ${JSON.stringify(memory)} });
       const run = () => session.run({ x: { dtype: 'float32', shape: [1, 1, ${size}], data: new Float32Array(${size}).fill(1) } });
       await run();
       // All of the file is mapped now. What the second run adds at most, Linux counts: samples would miss it on a busy machine.
       writeFileSync('/proc/self/clear_refs', '5');
       await run();
       console.log(read('VmHWM') - read('RssFile') - before);
       process.exit();`,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return Number(stdout) / MiB;
  }

  test.each(Object.entries(forms))(
    `costs less than ${most} MiB of anonymous memory, %s`,
    async (_, { kind, lower, ...how }) => {
      expect(await addedMemory(kind, lower, how)).toBeLessThan(most);
    },
  );

  // What a CPU runs where weights may be packed: 384 MiB were measured.
  test('costs a copy of itself more where MatMulNBits packs it, and the backward pass no second one', async () => {
    const added = await addedMemory('int8', int8({ style: 'cast', forward: 'product' }), { packs: true });
    const scales = (layers * size * (size / block) * 4) / MiB;
    expect(added).toBeGreaterThan(codesMiB);
    expect(added).toBeLessThan(codesMiB + scales + most);
  });

  test.each(['fp8', 'int8'] as const)('would cost more at a quarter of its size without gates, %s', async (kind) => {
    const added = await addedMemory(kind, null, { count: few });
    expect(added).toBeGreaterThan((0.75 * few * size * size * 4) / MiB);
    expect(added).toBeGreaterThan(2 * most);
  });
});

/** What a model would compute that dequantizes its weights itself. */
function scaledAtOnce(params: Params, kind: Kind): Value {
  const weight = params.stored('weight', [size, size]);
  const shape = [size, size / block];
  const scale = reshape(params.stored('scale_weight', [...shape, 1]), shape);
  const zero = { dtype: 'uint8', shape: [1, 1], data: Uint8Array.of(128) } as const;
  const zeros = kind === 'int8' ? [expand(params.graph.constant(zero), shape)] : [];
  return apply('DequantizeLinear', [weight, scale, ...zeros], { axis: 1, block_size: block });
}

/** A sparse file: zero but for one code of each weight, because ONNX Runtime could share equal ones. */
function writeBase(path: string, kind: Kind, count: number): ParameterSource {
  const { header, order, byteLength } = serializeSafetensors(
    Array.from({ length: count }, (_, i) => {
      const weight = { name: `${i}.weight`, dtype: kind === 'int8' ? 'U8' : 'F8_E4M3', shape: [size, size] } as const;
      const scale = { name: `${i}.scale_weight`, dtype: 'F32', shape: [size, size / block, 1] } as const;
      return kind === 'unscaled' ? [weight] : [weight, scale];
    }).flat(),
  );
  const file = openSync(path, 'w');
  writeSync(file, header);
  order.forEach(({ offset }, i) => writeSync(file, Uint8Array.of(i + 1), 0, 1, offset));
  ftruncateSync(file, byteLength);
  closeSync(file);
  const places = new Map<string, (typeof order)[number]>(order.map((placed) => [placed.tensor.name, placed]));
  return (name) => {
    const placed = places.get(name);
    if (!placed) return undefined;
    const { tensor, offset, byteLength: length } = placed;
    return {
      dtype: tensor.dtype === 'F32' ? 'float32' : kind === 'int8' ? 'uint8' : 'float8e4m3fn',
      shape: tensor.shape,
      external: { location: 'base.safetensors', offset, length },
    };
  };
}
