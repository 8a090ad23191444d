import { describe, expect, test } from 'vitest';
import { selectTargets } from './index.ts';
import type { TargetModule } from './index.ts';

const module = (path: string, blockClass: string | null = 'Block'): TargetModule => ({
  path,
  kind: 'linear',
  inFeatures: 4,
  outFeatures: 4,
  blockClass,
});
const modules = [module('head', null), module('blocks.0.q'), module('blocks.0.norm.k'), module('other.0.q', 'Other')];
const rules = { blockClasses: ['Block'], exclude: ['.*norm.*'] };
const select = (user?: Parameters<typeof selectTargets>[2]) =>
  selectTargets(modules, rules, user).map(({ path }) => path);

describe('selectTargets', () => {
  test('takes the modules of the right blocks', () => expect(select()).toEqual(['blocks.0.q']));
  test('lets include take back what exclude removed, and no more', () => {
    expect(select({ exclude: ['.*q'], include: ['.*k', 'head'] })).toEqual(['blocks.0.norm.k']);
  });
  test('drops the patterns for the undecided as soon as the user gives a list, even an empty one', () => {
    const flux = { ...rules, excludeUnlessGiven: ['.*\\.q'] };
    expect(selectTargets(modules, flux, { exclude: [] })).toHaveLength(1);
    expect(() => selectTargets(modules, flux)).toThrow(expect.objectContaining({ code: 'EMPTY_SELECTION' }));
  });
  test('says why nothing is left', () => {
    expect(() => select({ exclude: ['.*'] })).toThrowErrorMatchingInlineSnapshot(
      `[LoraError: no module is left to train: of the 2 linear layers in blocks of class Block exclude_patterns leave none. Loosen exclude_patterns or add include_patterns; both match whole paths. A path looks like this: blocks.0.q.]`,
    );
  });
  test('refuses two paths with one name', () => {
    const same = [module('blocks.0.a_b'), module('blocks.0.a.b')];
    expect(() => selectTargets(same, rules)).toThrow(expect.objectContaining({ code: 'DUPLICATE_NAME' }));
  });
});
