import type { ImageDatasetConfig } from './dataset-types.ts';
import { DatasetError } from './errors.ts';
import { numberSuffix, withoutExtension } from './internal/file-names.ts';
import { assertAllControlled, bothCases, fileNames, withExtension } from './internal/source-files.ts';
import type { DatasetSource, SourceFiles } from './sources.ts';

/** Extensions of image files, lower and upper case. */
export const imageExtensions = bothCases(['png', 'jpg', 'jpeg', 'webp', 'bmp', 'avif']);

/** The images of a folder with their further targets and control images. */
export async function readImageFolder(
  config: ImageDatasetConfig,
  folder: string,
  files: SourceFiles,
): Promise<DatasetSource> {
  const names = await fileNames(folder, files);
  const all = withExtension(names, imageExtensions);
  const captionOf = config.captionExtension;
  const captioned = new Set(captionOf === null ? [] : names.filter((n) => n.endsWith(captionOf)).map(withoutExtension));
  const images = captionOf === null ? all : all.filter((name) => captioned.has(withoutExtension(name)));

  const targets = config.multipleTarget ? matchTargets(images, all, folder) : new Map<string, string[]>();
  const { controlDirectory, controlCountPerImage } = config;
  const controls =
    controlDirectory === null
      ? null
      : matchControls(
          images,
          withExtension(await fileNames(controlDirectory, files), imageExtensions),
          controlDirectory,
          controlCountPerImage,
        );
  const items = images.map((name) => ({
    name,
    targets: targets.get(name) ?? [],
    controls: controls?.get(name) ?? [],
  }));
  const chosen = new Set(images);
  const further = new Set(items.flatMap((item) => item.targets));
  const uncaptioned = all.filter((name) => !chosen.has(name) && !further.has(name));
  return { items, hasControl: controls !== null, ...(uncaptioned.length > 0 ? { uncaptioned } : {}) };
}

/** Images without a caption of their own named `NAME_<digits>` are further targets of `NAME`. */
function matchTargets(images: readonly string[], all: readonly string[], folder: string): Map<string, string[]> {
  const matched = new Map<string, string[]>();
  const captioned = new Set(images);
  const free = new Set(all.filter((name) => !captioned.has(name)));
  if (free.size === 0) return matched;
  for (const image of longestFirst(images)) {
    const found = [...free].filter((name) => name.startsWith(`${withoutExtension(image)}_`));
    if (found.length === 0) continue;
    matched.set(image, sortByNumber(found, folder, ''));
    for (const name of found) free.delete(name);
  }
  const counts = [...matched].map(([image, { length }]) => ({ image, length }));
  const odd = counts.find(({ length }) => length !== counts[0]?.length);
  if (odd) {
    const what = `${folder}: ${odd.image} has ${odd.length} further targets, ${counts[0]?.image} has ${counts[0]?.length}.`;
    const remedy = 'With multiple_target every item needs the same number.';
    throw new DatasetError('MULTIPLE_TARGET_COUNT_MISMATCH', what, remedy, { folders: [folder] });
  }
  if (counts.length === 0) {
    const what = `${folder}: no image is a further target (NAME_1, NAME_2 …) of another one.`;
    throw new DatasetError('MULTIPLE_TARGET_MISSING', what, 'Add them, or set multiple_target = false.', {
      folders: [folder],
    });
  }
  return matched;
}

/** Control images of `NAME.ext` start with `NAME.` or `NAME_`; longer names choose first, what they took is gone. */
function matchControls(
  images: readonly string[],
  controls: readonly string[],
  folder: string,
  needed: number | null,
): Map<string, string[]> {
  const matched = new Map<string, string[]>();
  const free = new Set(controls);
  for (const image of longestFirst(images)) {
    const base = withoutExtension(image);
    const found = [...free].filter((name) => name.startsWith(`${base}.`) || name.startsWith(`${base}_`));
    if (found.length === 0) continue;
    for (const name of found) free.delete(name);
    const sorted = sortByNumber(found, folder, base);
    if (needed !== null && sorted.length < needed) {
      const what = `${folder}: ${image} has ${sorted.length} control images, ${needed} are needed.`;
      const remedy = 'Add them, or list fewer fp_1f_clean_indices.';
      throw new DatasetError('NOT_ENOUGH_CONTROL_IMAGES', what, remedy, { folders: [folder] });
    }
    matched.set(image, needed === null ? sorted : sorted.slice(0, needed));
  }
  assertAllControlled(
    images.filter((image) => !matched.has(image)),
    folder,
  );
  return matched;
}

/** The name without a suffix first, then by the number behind the last `_`. */
function sortByNumber(names: readonly string[], folder: string, base: string): string[] {
  const numbered = names.map((name) => {
    const stem = withoutExtension(name);
    const number = stem === base ? -1 : numberSuffix(stem);
    if (number !== null) return { name, number };
    const what = `${folder}: "${name}" does not end in a number.`;
    throw new DatasetError('INVALID_DIGITS_SUFFIX', what, 'Name the files NAME_0, NAME_1 … in their order.', {
      folders: [folder],
    });
  });
  return numbered.toSorted((a, b) => a.number - b.number).map(({ name }) => name);
}

function longestFirst(names: readonly string[]): string[] {
  return names.toSorted((a, b) => b.length - a.length);
}
