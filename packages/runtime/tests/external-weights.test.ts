import { linkSync, mkdirSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { add, cast, gateWeights, matmul, transpose } from '@musubi/onnx-graph';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { MemoryPlan, Runtime, SessionRequest } from '../src/index.ts';

import { defaultMemoryPlan } from '../src/index.ts';
import { createNodeRuntime } from '../src/node.ts';
import { buildModel, float32, numbers, temporaryFolder, writeSafetensors } from './fixtures.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createNodeRuntime();
});
afterAll(() => runtime.close());

const n = 64;
const weight = numbers(n * n);
const bias = numbers(n, 7);
const x = float32([2, n], numbers(2 * n, 3));

/** `x·Wᵀ + b` in float64. */
function expected(w: ArrayLike<number>): number[] {
  return Array.from({ length: 2 * n }, (_, i) => {
    const [row, column] = [Math.floor(i / n), i % n];
    let sum = bias[column] ?? NaN;
    for (let k = 0; k < n; k++) sum += Number(x.data[row * n + k]) * (w[column * n + k] ?? NaN);
    return sum;
  });
}

interface Place {
  readonly offset: number;
  readonly length: number;
}

/** The linear layer, with weight and bias at these locations. */
function linearModel(w: Place & { location: string }, b: Place & { location: string }): Uint8Array {
  return buildModel((g) => {
    const product = matmul(g.input('x', 'float32', ['t', n]), transpose(g.external('w', 'float32', [n, n], w), [1, 0]));
    return { y: add(product, g.external('b', 'float32', [n], b)) };
  });
}

async function run(request: SessionRequest): Promise<ArrayLike<number>> {
  const session = await runtime.createSession(request);
  const { y } = await session.run({ x });
  await session.release();
  return y?.data as Float32Array;
}

describe('float32 weights in a safetensors file', () => {
  const plans: Record<string, MemoryPlan> = {
    mapped: defaultMemoryPlan,
    packed: { ...defaultMemoryPlan, prepackWeights: true, foldConstants: true },
  };

  test.each(Object.keys(plans).flatMap((plan) => [0, 1, 2, 3, 5, 7].map((padding) => ({ plan, padding }))))(
    'are read right with a header of $padding bytes more, $plan',
    async ({ plan, padding }) => {
      const folder = temporaryFolder();
      const tensors = {
        w: { dtype: 'F32', shape: [n, n], data: weight },
        odd: { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) },
        b: { dtype: 'F32', shape: [n], data: bias },
      };
      const { w, b } = writeSafetensors(join(folder, 'dit.safetensors'), tensors, padding);
      const location = 'dit.safetensors';
      const y = await run({
        model: linearModel({ location, ...place(w) }, { location, ...place(b) }),
        externalDataFolder: folder,
        memory: plans[plan] ?? defaultMemoryPlan,
      });

      expect(y).toBeAllClose(expected(weight), { atol: 2e-5 });
    },
  );
});

function place(found: Place | undefined): Place {
  if (!found) throw new Error('no such tensor');
  return found;
}

/** bfloat16 bits of the weights, rounded towards zero, and the numbers that they are. */
function toBfloat16(values: Float32Array): { bits: Uint16Array; numbers: Float32Array } {
  const bits = Uint16Array.from(new Uint32Array(values.buffer), (u) => u >>> 16);
  return { bits, numbers: new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer) };
}

describe('bfloat16 weights behind gated casts', () => {
  test.each([0, 1, 3])('give the product of the bfloat16 numbers, with a header of %i bytes more', async (padding) => {
    const folder = temporaryFolder();
    const { bits, numbers: exact } = toBfloat16(weight);
    const file = writeSafetensors(
      join(folder, 'dit.safetensors'),
      { w: { dtype: 'BF16', shape: [n, n], data: bits }, b: { dtype: 'F32', shape: [n], data: bias } },
      padding,
    );
    const location = 'dit.safetensors';
    const model = buildModel((g) => {
      const w = cast(g.external('w', 'bfloat16', [n, n], { location, ...place(file['w']) }), 'float32');
      const b = g.external('b', 'float32', [n], { location, ...place(file['b']) });
      return { y: add(matmul(g.input('x', 'float32', ['t', n]), transpose(w, [1, 0])), b) };
    });
    const gated = buildModel((g) => {
      const w = cast(g.external('w', 'bfloat16', [n, n], { location, ...place(file['w']) }), 'float32');
      const b = g.external('b', 'float32', [n], { location, ...place(file['b']) });
      const input = g.input('x', 'float32', ['t', n]);
      // Wᵀ·xᵀ, so that the weight stands on the left
      return { y: add(transpose(matmul(w, transpose(input, [1, 0])), [1, 0]), b) };
    }, gateWeights);

    expect(gated.length).toBeGreaterThan(model.length);
    for (const each of [model, gated]) {
      const y = await run({ model: each, externalDataFolder: folder });
      expect(y).toBeAllClose(expected(exact), { atol: 2e-5 });
    }
  });
});

describe('weights in several places', () => {
  const tensors = {
    w: { w: { dtype: 'F32', shape: [n, n], data: weight } },
    b: { b: { dtype: 'F32', shape: [n], data: bias } },
  };

  test('one folder and a file elsewhere', async () => {
    const [models, other] = [temporaryFolder(), temporaryFolder()];
    const { w } = writeSafetensors(join(models, 'dit.safetensors'), tensors.w, 1);
    const { b } = writeSafetensors(join(other, 'base lora.safetensors'), tensors.b);
    const y = await run({
      model: linearModel({ location: 'dit.safetensors', ...place(w) }, { location: 'base', ...place(b) }),
      externalDataFolder: models,
      externalFiles: { base: join(other, 'base lora.safetensors') },
    });

    expect(y).toBeAllClose(expected(weight), { atol: 2e-5 });
  });

  test('absolute locations that the caller lists', async () => {
    const [models, other] = [temporaryFolder(), temporaryFolder()];
    const files = [join(models, 'dit.safetensors'), join(other, 'lora.safetensors')] as const;
    const { w } = writeSafetensors(files[0], tensors.w);
    const { b } = writeSafetensors(files[1], tensors.b, 3);
    const model = linearModel({ location: files[0], ...place(w) }, { location: files[1], ...place(b) });

    expect(await run({ model, externalFiles: Object.fromEntries(files.map((f) => [f, f])) })).toBeAllClose(
      expected(weight),
      { atol: 2e-5 },
    );
    await expect(runtime.createSession({ model, externalDataFolder: models })).rejects.toMatchObject({
      code: 'EXTERNAL_FILE_REFUSED',
      path: files[0],
    });
  });

  test('links out of the folder, as in the cache of a model hub', async () => {
    const [snapshot, blobs] = [temporaryFolder(), temporaryFolder()];
    const { w } = writeSafetensors(join(blobs, '5f3a'), tensors.w);
    const { b } = writeSafetensors(join(blobs, '77c1'), tensors.b);
    link(join(blobs, '5f3a'), join(snapshot, 'dit-1.safetensors'));
    link(join(blobs, '77c1'), join(snapshot, 'dit-2.safetensors'));
    const y = await run({
      model: linearModel(
        { location: 'dit-1.safetensors', ...place(w) },
        { location: 'dit-2.safetensors', ...place(b) },
      ),
      externalDataFolder: snapshot,
    });

    expect(y).toBeAllClose(expected(weight), { atol: 2e-5 });
  });

  test('a folder below, with either separator of the system', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'transformer'));
    const { w } = writeSafetensors(join(folder, 'transformer', 'dit.safetensors'), tensors.w);
    const { b } = writeSafetensors(join(folder, 'b.safetensors'), tensors.b);
    const y = await run({
      model: linearModel(
        { location: 'transformer/dit.safetensors', ...place(w) },
        { location: 'b.safetensors', ...place(b) },
      ),
      externalDataFolder: folder,
    });

    expect(y).toBeAllClose(expected(weight), { atol: 2e-5 });
  });
});

/** A symbolic link; where Windows does not allow one, a hard link. */
function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch {
    linkSync(target, path);
  }
}

describe('weights that are not there', () => {
  test('a missing file, a folder and a short file are named before anything is loaded', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'dit.safetensors');
    const { w, b } = writeSafetensors(path, {
      w: { dtype: 'F32', shape: [n, n], data: weight },
      b: { dtype: 'F32', shape: [n], data: bias },
    });
    const location = basename(path);
    const model = linearModel({ location, ...place(w) }, { location, ...place(b) });
    const request = { model, externalDataFolder: folder, label: 'train' };

    truncateSync(path, place(b).offset + 3);
    await expect(runtime.createSession(request)).rejects.toMatchObject({
      code: 'EXTERNAL_FILE_TOO_SHORT',
      label: 'train',
      tensor: 'b',
      path,
    });
    renameSync(path, `${path}.moved`);
    await expect(runtime.createSession(request)).rejects.toMatchObject({ code: 'EXTERNAL_FILE_MISSING', path });
    mkdirSync(path);
    await expect(runtime.createSession(request)).rejects.toMatchObject({ code: 'EXTERNAL_FILE_MISSING', path });
    await expect(runtime.createSession({ model })).rejects.toMatchObject({
      code: 'EXTERNAL_FILE_MISSING',
      remedy: 'Give externalDataFolder or externalFiles.',
    });
  });

  test.each(['../secret.safetensors', '/etc/secret', 'C:\\secret', 'a/../../secret', '\\\\host\\secret'])(
    'a model cannot reach for %s by itself',
    async (location) => {
      const folder = join(temporaryFolder(), 'models');
      mkdirSync(folder);
      writeFileSync(join(dirname(folder), 'secret.safetensors'), new Uint8Array(4 * n * n));
      const model = linearModel({ location, offset: 0, length: 4 * n * n }, { location, offset: 0, length: 4 * n });

      await expect(runtime.createSession({ model, externalDataFolder: folder })).rejects.toMatchObject({
        code: 'EXTERNAL_FILE_REFUSED',
        path: location,
      });
    },
  );
});
