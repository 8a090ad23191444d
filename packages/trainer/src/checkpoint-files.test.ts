import { describe, expect, test } from 'vitest';

import { hasGolden, readGoldenJson } from '../../../tests/golden.ts';
import { epochFile, epochToRemove, lastFile, stepFile, stepToRemove } from './checkpoint-files.ts';

test('names are those of the original', () => {
  expect([stepFile('m', 10), epochFile('m', 3), lastFile('m')]).toEqual([
    'm-step00000010.safetensors',
    'm-000003.safetensors',
    'm.safetensors',
  ]);
});

interface Retention {
  readonly unit: 'steps' | 'epochs';
  readonly options: Readonly<Record<string, number | undefined>>;
  readonly after_each_save: readonly {
    readonly step?: number;
    readonly epoch?: number;
    readonly on_disk: readonly string[];
  }[];
}

// State folders, which these cases also have, are not part of this release.
const cases = hasGolden('files', 'training_rules.json')
  ? readGoldenJson<{ retention: Retention[] }>('files', 'training_rules.json').retention
  : [];

describe('after each save the files of the original are there', () => {
  test.each(cases.map((c) => [c.unit, JSON.stringify(c.options), c] as const))('%s, %s', (unit, _, c) => {
    const every = c.options[`save_every_n_${unit}`] ?? null;
    const lastN = c.options[`save_last_n_${unit}`] ?? null;
    const [file, toRemove] = unit === 'steps' ? [stepFile, stepToRemove] : [epochFile, epochToRemove];
    const present = new Set<string>();

    for (const { step, epoch, on_disk } of c.after_each_save) {
      const at = step ?? epoch ?? 0;
      present.add(file('m', at));
      const removed = toRemove(at, every, lastN);
      if (removed !== null) present.delete(file('m', removed));
      expect([...present].toSorted()).toEqual(on_disk.filter((name) => name.endsWith('.safetensors')));
    }
  });
});
