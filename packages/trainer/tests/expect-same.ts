import { expect } from 'vitest';

import type { Seen } from './device-scenarios.ts';

/** Whether two runs called the same hooks with the same numbers and ended with the same weights and state. */
export function expectSame(actual: Seen, expected: Seen, tolerance: { readonly rtol: number; readonly atol: number }) {
  expect(actual.calls).toEqual(expected.calls);
  if (expected.outcome instanceof Error) expect(actual.outcome).toEqual(expected.outcome);
  else expect(actual.outcome).toMatchObject({ ...(expected.outcome as object), averageLoss: expect.any(Number) });
  const { rtol } = tolerance;
  expect(actual.losses).toBeAllClose(expected.losses, { rtol });
  // null between steps
  expect(actual.norms.map((norm) => norm ?? -1)).toBeAllClose(
    expected.norms.map((norm) => norm ?? -1),
    { rtol },
  );
  expect(actual.saved.flat()).toBeAllClose(expected.saved.flat(), tolerance);
  expect(actual.weights).toBeAllClose(expected.weights, tolerance);
  if (expected.outcome instanceof Error) return;
  expect(actual.state.numbers).toEqual(expected.state.numbers);
  for (const [key, { data }] of expected.state.tensors) {
    expect(actual.state.tensors.get(key)?.data, key).toBeAllClose(data, tolerance);
  }
}
