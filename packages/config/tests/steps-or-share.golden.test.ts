import { describe, expect, test } from 'vitest';

import { isDefaultGolden, readGoldenJson } from '../../../tests/golden.ts';
import { parseStepsOrShare } from '../src/convert.ts';

interface GoldenNumber {
  input: string;
  output: { type: string; value: number } | { error: string };
}

const { parse_int_or_float: cases } = readGoldenJson<{ parse_int_or_float: GoldenNumber[] }>(
  'maths',
  'lr_schedulers.json',
);

describe('a number of steps or a share of all steps', () => {
  test('has cases', () => {
    if (isDefaultGolden) expect(cases.length).toBeGreaterThan(0);
  });

  test.each(cases)('$input', ({ input, output }) => {
    expect(parseStepsOrShare(input)).toEqual('error' in output ? undefined : output);
  });
});
