import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openSafetensorsFile } from '@musubi/safetensors/node';
import { expect, describe, test } from 'vitest';
import { goldenPath, isDefaultGolden } from '../../../tests/golden.ts';
import { FP8_TARGETS } from '../src/index.ts';
import type { Fp8Architecture } from '../src/index.ts';
import { quantizeFile } from '../src/node.ts';
import { temporaryFolder } from './fixtures.ts';

interface Case {
  architecture: string;
  /** e.g. `those of variant wan21_t2v` */
  checkpoint_and_lora: string;
  checkpoint_key_prefix?: string;
  checkpoint_fp8_contents?: string;
  fp8_scaled?: { quantised: string[]; block_size: number };
}

const quantizedName = 'checkpoint_fp8.safetensors';
const folders = readdirSync(goldenPath('models'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith(quantizedName))
  .map((path) => dirname(path));

test('there is a checkpoint', () => {
  if (isDefaultGolden) expect(folders).not.toEqual([]);
});

describe.each(folders)('%s', (name) => {
  const folder = goldenPath('models', name);
  const goldenCase = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as Case;
  const variant = /variant (\w+)/.exec(goldenCase.checkpoint_and_lora)?.[1] ?? '';
  const original = join(folder, '..', variant, 'checkpoint.safetensors');

  // The repository has the case alone, the whole golden folder also what it was made of.
  test.runIf(existsSync(original))('the original quantizes to the same codes and scales', async () => {
    const output = join(temporaryFolder(), 'out.safetensors');
    const targets = architectureOf(goldenCase.architecture);
    await quantizeFile(original, output, { targets, blockSize: goldenCase.fp8_scaled?.block_size ?? 64 });

    const prefix = goldenCase.checkpoint_key_prefix ?? '';
    const found = await contents(output, prefix);
    const expected = await contents(join(folder, quantizedName));
    const codes = [...expected].filter(([, { dtype }]) => dtype === 'F8_E4M3').map(([key]) => key);
    expect(codes).not.toEqual([]);
    const chosen = [...found].filter(([, { dtype }]) => dtype === 'F8_E4M3').map(([key]) => key);
    expect(chosen.toSorted()).toEqual(codes.toSorted());
    if (goldenCase.fp8_scaled) expect(chosen.toSorted()).toEqual(goldenCase.fp8_scaled.quantised.toSorted());
    for (const [key, tensor] of expected) expect({ key, ...found.get(key) }).toEqual({ key, ...tensor });
    // Some folders hold the quantized layers alone.
    const isWhole = !goldenCase.checkpoint_fp8_contents?.startsWith('only');
    if (isWhole) expect(found.size).toBe(expected.size);
  });
});

function architectureOf(name: string): Fp8Architecture {
  const found = Object.keys(FP8_TARGETS).find((known) => name.startsWith(known));
  if (found === undefined) throw new Error(`no list of targets for ${name}`);
  return found as Fp8Architecture;
}

/** All tensors by key; bytes as text, whose differences are short to print. */
async function contents(path: string, prefix = '') {
  const store = await openSafetensorsFile(path);
  const entries = await Promise.all(
    Array.from(store.tensors.values(), async ({ name, dtype, shape }) => {
      const bytes = Buffer.from(await store.read(name)).toString('base64');
      return [name.startsWith(prefix) ? name.slice(prefix.length) : name, { dtype, shape, bytes }] as const;
    }),
  );
  await store.close();
  return new Map(entries);
}
