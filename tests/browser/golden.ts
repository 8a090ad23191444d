// Takes the place of tests/golden.ts in tests that run in a browser.
import { existsSync, readFileSync } from './files.ts';

/** Set when the tests are bundled. */
declare const MUSUBI_IS_DEFAULT_GOLDEN: boolean;

export const goldenFolder = '/golden';
export const isDefaultGolden = MUSUBI_IS_DEFAULT_GOLDEN;

export const goldenPath = (...parts: string[]): string => [goldenFolder, ...parts].join('/');
export const hasGolden = (...parts: string[]): boolean => existsSync(goldenPath(...parts));
export const readGoldenJson = <T>(...parts: string[]): T =>
  JSON.parse(readFileSync(goldenPath(...parts), 'utf8') as string) as T;
