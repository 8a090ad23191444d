import { DatasetError } from '../errors.ts';
import type { SourceFiles } from '../sources.ts';
import { compareText } from './text-order.ts';

/** Files of a folder in order of their names; hidden files are not looked at. */
export async function fileNames(folder: string, files: SourceFiles): Promise<string[]> {
  const entries = (await files.list(folder)) ?? [];
  return entries
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('.'))
    .toSorted(compareText);
}

export function withExtension(names: readonly string[], extensions: readonly string[]): string[] {
  return names.filter((name) => extensions.some((extension) => name.endsWith(extension)));
}

/** Extensions are found in all lower or all upper case only, so that the same files make the same dataset everywhere. */
export function bothCases(extensions: readonly string[]): string[] {
  return extensions.flatMap((extension) => [`.${extension}`, `.${extension.toUpperCase()}`]);
}

export function assertAllControlled(missing: readonly string[], folder: string): void {
  if (missing.length === 0) return;
  const shown = missing.slice(0, 5).join(', ') + (missing.length > 5 ? ` and ${missing.length - 5} more` : '');
  const remedy = 'Add files with these names to control_directory, or leave the option out.';
  throw new DatasetError('MISSING_CONTROL_IMAGES', `${folder} has no control for ${shown}.`, remedy, {
    folders: [folder],
  });
}
