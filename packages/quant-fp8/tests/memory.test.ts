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
import { serializeSafetensors } from '@musubi/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dequantizeFp8, lowerInt8 } from '../src/graph.ts';
import { buildPackage, packageFolder, runScript } from '../../runtime/tests/built-package.ts';
import { temporaryFolder } from './fixtures.ts';

const [size, layers, block] = [2048, 75, 64];
/** Enough to see what a base costs whose weights all widen at once. */
const few = 20;
const MiB = 2 ** 20;

/** What the base may cost. One weight as float32 takes 16 MiB, and at the change of layers there are two. */
const most = 80;

type Kind = 'fp8' | 'int8';

// Linux tells anonymous memory (copies) from mapped files.
describe.runIf(process.platform === 'linux')(`an 8-bit base of ${(layers * size * size) / MiB} MiB`, () => {
  const built = mkdtempSync(join(tmpdir(), 'musubi built '));
  beforeAll(() => buildPackage(built));
  afterAll(() => rmSync(built, { recursive: true, force: true, maxRetries: 5 }));

  /** Anonymous memory in MiB that a session and its second run add, in a process of its own. */
  async function addedMemory(kind: Kind, style: 'cast' | 'linear' | 'ungated', count = layers) {
    const isGated = style !== 'ungated';
    const folder = temporaryFolder();
    const source = writeBase(join(folder, 'base.safetensors'), kind, count);
    const graph = new Graph('layers');
    const params = createParams(graph, source);
    const weights = Array.from({ length: count }, (_, i) =>
      isGated ? params.at(i).tensor('weight', [size, size]) : scaledAtOnce(params.at(i), kind),
    );
    let y = graph.input('x', 'float32', ['t', size]);
    for (const weight of weights) y = matmul(y, transpose(weight, [1, 0]));
    // Each weight is used again, as by the backward pass.
    for (const weight of weights.toReversed()) y = matmul(y, weight);
    graph.output('y', y);
    const fused = fuseProducts(graph);
    const gated = () =>
      kind === 'fp8'
        ? dequantizeFp8(fused, source, style === 'cast' ? { codes: 'bits', round: false } : {})
        : lowerInt8(fused, source, { forward: 'dequantize', style: style === 'cast' ? style : 'linear' });
    writeFileSync(join(folder, 'model.onnx'), encodeModel(isGated ? gated() : fused));
    const { status, stdout, stderr } = await runScript(
      built,
      packageFolder,
      `import { readFileSync, writeFileSync } from 'node:fs';
       const read = (what) => 1024 * Number(new RegExp(what + ':\\\\s+(\\\\d+) kB').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
       const runtime = await createNodeRuntime();
       const model = readFileSync(${JSON.stringify(join(folder, 'model.onnx'))});
       const before = read('RssAnon');
       const session = await runtime.createSession({ externalDataFolder: ${JSON.stringify(folder)}, model });
       const run = () => session.run({ x: { dtype: 'float32', shape: [1, ${size}], data: new Float32Array(${size}).fill(1) } });
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

  // What a CPU runs, and what CUDA does.
  test.each([
    ['fp8', 'cast'],
    ['int8', 'cast'],
    ['fp8', 'linear'],
  ] as const)(`costs less than ${most} MiB of anonymous memory, %s, %s`, async (kind, style) => {
    expect(await addedMemory(kind, style)).toBeLessThan(most);
  });

  test.each(['fp8', 'int8'] as const)('would cost more at a quarter of its size without gates, %s', async (kind) => {
    const added = await addedMemory(kind, 'ungated', few);
    expect(added).toBeGreaterThan((0.75 * few * size * size * 4) / MiB);
    expect(added).toBeGreaterThan(2 * most);
  });
});

/** What a model would compute that dequantizes its weights itself. */
function scaledAtOnce(params: Params, kind: Kind): Value {
  const codes = params.stored('weight', [size, size]);
  const shape = [size, size / block];
  const scale = reshape(params.stored('scale_weight', [...shape, 1]), shape);
  const zero = { dtype: 'uint8', shape: [1, 1], data: Uint8Array.of(128) } as const;
  const zeros = kind === 'int8' ? [expand(params.graph.constant(zero), shape)] : [];
  return apply('DequantizeLinear', [codes, scale, ...zeros], { axis: 1, block_size: block });
}

/** A sparse file: zero but for one code of each weight, because ONNX Runtime could share equal ones. */
function writeBase(path: string, kind: Kind, count: number): ParameterSource {
  const { header, order, byteLength } = serializeSafetensors(
    Array.from({ length: count }, (_, i) => [
      { name: `${i}.weight`, dtype: kind === 'fp8' ? 'F8_E4M3' : 'U8', shape: [size, size] } as const,
      { name: `${i}.scale_weight`, dtype: 'F32', shape: [size, size / block, 1] } as const,
    ]).flat(),
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
      dtype: tensor.dtype === 'F32' ? 'float32' : kind === 'fp8' ? 'float8e4m3fn' : 'uint8',
      shape: tensor.shape,
      external: { location: 'base.safetensors', offset, length },
    };
  };
}
