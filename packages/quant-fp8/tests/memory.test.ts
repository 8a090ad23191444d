import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Graph, createParams, encodeModel, fuseProducts, matmul, mul, reshape, transpose } from '@musubi/onnx-graph';
import type { Params, ParameterSource, Value } from '@musubi/onnx-graph';
import { serializeSafetensors } from '@musubi/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dequantizeFp8 } from '../src/graph.ts';
import { buildPackage, packageFolder, runScript } from '../../runtime/tests/built-package.ts';
import { temporaryFolder } from './fixtures.ts';

const [size, layers, block] = [2048, 25, 64];
const MiB = 2 ** 20;

// Linux tells anonymous memory (copies) from mapped files.
describe.runIf(process.platform === 'linux')(`an FP8 base of ${(layers * size * size) / MiB} MiB`, () => {
  const built = mkdtempSync(join(tmpdir(), 'musubi built '));
  beforeAll(() => buildPackage(built));
  afterAll(() => rmSync(built, { recursive: true, force: true, maxRetries: 5 }));

  /** Anonymous memory in MiB that a session and a run add, in a process of its own. */
  async function addedMemory(isGated: boolean) {
    const folder = temporaryFolder();
    const source = writeBase(join(folder, 'base.safetensors'));
    const graph = new Graph('layers');
    const params = createParams(graph, source);
    const weights = Array.from({ length: layers }, (_, i) => (isGated ? codesOf : scaledOf)(params.at(i)));
    let y = graph.input('x', 'float32', ['t', size]);
    for (const weight of weights) y = matmul(y, transpose(weight, [1, 0]));
    // Each weight is used again, as by the backward pass.
    for (const weight of weights.toReversed()) y = matmul(y, weight);
    graph.output('y', y);
    const model = encodeModel(isGated ? dequantizeFp8(fuseProducts(graph), source) : fuseProducts(graph));
    writeFileSync(join(folder, 'model.onnx'), model);
    const { stdout, stderr } = await runScript(
      built,
      packageFolder,
      `import { readFileSync } from 'node:fs';
       const read = (what) => 1024 * Number(new RegExp(what + ':\\\\s+(\\\\d+) kB').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
       const runtime = await createNodeRuntime();
       const model = readFileSync(${JSON.stringify(join(folder, 'model.onnx'))});
       const before = [read('RssAnon'), read('VmHWM')];
       const session = await runtime.createSession({ externalDataFolder: ${JSON.stringify(folder)}, model });
       await session.run({ x: { dtype: 'float32', shape: [1, ${size}], data: new Float32Array(${size}).fill(1) } });
       console.log(Math.max(read('RssAnon') - before[0], read('VmHWM') - before[1] - ${layers * size * size}));`,
    );
    expect(stderr).toBe('');
    return Number(stdout) / MiB;
  }

  test('costs less than 100 MiB of anonymous memory where its weights are dequantized one after another', async () => {
    // One weight as float32 takes 16 MiB; while it is scaled there are two.
    expect(await addedMemory(true)).toBeLessThan(100);
  });

  test('would cost all of its float32 weights without', async () => {
    expect(await addedMemory(false)).toBeGreaterThan((0.75 * layers * size * size * 4) / MiB);
  });
});

const codesOf = (params: Params): Value => params.tensor('weight', [size, size]);

/** What a model would compute that scales its weights itself. */
function scaledOf(params: Params): Value {
  const rows = reshape(codesOf(params), [size, size / block, block]);
  return reshape(mul(rows, params.tensor('scale_weight', [size, size / block, 1])), [size, size]);
}

/** A sparse file: zero but for one code of each weight, because ONNX Runtime could share equal ones. */
function writeBase(path: string): ParameterSource {
  const { header, order, byteLength } = serializeSafetensors(
    Array.from({ length: layers }, (_, i) => [
      { name: `${i}.weight`, dtype: 'F8_E4M3', shape: [size, size] } as const,
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
      dtype: tensor.dtype === 'F32' ? 'float32' : 'float8e4m3fn',
      shape: tensor.shape,
      external: { location: 'base.safetensors', offset, length },
    };
  };
}
