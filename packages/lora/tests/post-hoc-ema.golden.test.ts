import { describe, expect, test } from 'vitest';
import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { emaBetas, gammaOfSigmaRel, postHocEma } from '../src/index.ts';
import { dtypeOf, goldenStore, storeOf, unitInTheLastPlace } from './golden-tensors.ts';
import type { GoldenTensors } from './golden-tensors.ts';

interface Golden {
  settings: { tolerance: { betas_abs: number; float32_abs: number } };
  sigma_rel_to_gamma: { sigma_rel: number; gamma: number }[];
  cases: {
    args: { beta: number; beta2: number; sigma_rel: number | null; files: number; dtype: string };
    input: GoldenTensors[];
    output: { betas: number[]; merged: GoldenTensors; metadata_keys: string[]; ss_steps: string };
  }[];
}

const golden = readGoldenJson<Golden>('maths', 'post_hoc_ema.json');
const { betas_abs, float32_abs } = golden.settings.tolerance;

test('the default folder has cases of every kind', () => {
  if (isDefaultGolden) expect(golden.cases.length * golden.sigma_rel_to_gamma.length).toBeGreaterThan(0);
});

test.each(golden.sigma_rel_to_gamma)('γ of sigma_rel $sigma_rel', ({ sigma_rel, gamma }) => {
  expect(gammaOfSigmaRel(sigma_rel)).toBeAllClose(gamma, { rtol: 1e-9 });
});

describe.each(golden.cases)('$args', ({ args, input, output }) => {
  const options = { beta: args.beta, beta2: args.beta2, sigmaRel: args.sigma_rel };

  test('has the betas', () => {
    expect(emaBetas(args.files, options)).toBeAllClose(output.betas, { atol: betas_abs });
  });

  test('gives the average', async () => {
    // Steps are counted in hundreds in the reference's own input.
    const stores = await Promise.all(
      input.map((tensors, i) => goldenStore(tensors, { ss_steps: String(100 * (i + 1)) })),
    );
    const { tensors, metadata } = await postHocEma(stores, options);
    const merged = await storeOf(tensors);
    expect(Object.keys(metadata ?? {}).toSorted()).toEqual(output.metadata_keys.toSorted());
    expect(metadata?.['ss_steps']).toBe(output.ss_steps);
    expect([...merged.tensors.keys()].toSorted()).toEqual(Object.keys(output.merged).toSorted());
    for (const [name, { dtype, values }] of Object.entries(output.merged)) {
      expect(merged.tensors.get(name)!.dtype).toBe(dtypeOf(dtype));
      const tolerance = dtype === 'float32' ? { atol: float32_abs } : { rtol: unitInTheLastPlace(dtype) };
      expect(await merged.readFloat32(name)).toBeAllClose(Float32Array.from(values), tolerance);
    }
  });
});
