import { textCacheName } from '@musubi/dataset';

import { type GivenFile, folderOf, nameOf } from './given-files.ts';

/** What files are to a run, by their names. */
export interface SortedFiles {
  readonly checkpoints: readonly GivenFile[];
  /** `model.json`: what the shapes of a small checkpoint cannot tell. */
  readonly modelConfig: GivenFile | null;
  readonly datasetConfig: GivenFile | null;
  readonly latents: readonly GivenFile[];
  readonly texts: readonly GivenFile[];
  readonly pictures: readonly GivenFile[];
}

const architecture = 'wan';
const latentName = /^(.+)_\d+x\d+_wan\.safetensors$/;
const textName = /^(.+)_wan_te\.safetensors$/;
const pictureName = /\.(png|jpe?g|webp|bmp|avif)$/i;

export function sortFiles(files: readonly GivenFile[]): SortedFiles {
  // as macOS writes beside others
  const visible = files.filter(({ path }) => !nameOf(path).startsWith('.'));
  const named = (pattern: RegExp) => visible.filter(({ path }) => pattern.test(nameOf(path)));
  const latents = named(latentName);
  const texts = named(textName);
  return {
    checkpoints: named(/\.safetensors$/).filter((file) => !latents.includes(file) && !texts.includes(file)),
    modelConfig: named(/^model\.json$/)[0] ?? null,
    datasetConfig: named(/^dataset\.toml$/)[0] ?? null,
    latents,
    texts,
    pictures: named(pictureName),
  };
}

export const hasCaches = ({ latents, texts }: SortedFiles): boolean => latents.length + texts.length > 0;

/** Names of the files that others call for: each item is trained on from its latents and its text. */
export function missingFiles({ latents, texts, pictures }: SortedFiles): string[] {
  const latentsOf = new Set(latents.map(({ path }) => itemOf(path, latentName)));
  const textsOf = new Set(texts.map(({ path }) => itemOf(path, textName)));
  const picturesOf = new Set(pictures.map(({ path }) => nameOf(path).replace(pictureName, '')));
  const cached = new Set([...latentsOf, ...textsOf].map(nameOf));
  const missing = [
    ...[...latentsOf].filter((item) => !textsOf.has(item)).map((item) => textCacheName(item, architecture)),
    ...[...textsOf].filter((item) => !latentsOf.has(item)).map(anyLatents),
    ...[...picturesOf]
      .filter((item) => !cached.has(item))
      .flatMap((item) => [anyLatents(item), textCacheName(item, architecture)]),
  ];
  return missing.toSorted();
}

/** The size is that of the picture. */
const anyLatents = (item: string): string => `${item}_WIDTHxHEIGHT_${architecture}.safetensors`;

/** The folder and name of the picture, without extension. */
function itemOf(path: string, pattern: RegExp): string {
  const folder = folderOf(path);
  const item = pattern.exec(nameOf(path))?.[1] ?? '';
  return folder === '' ? item : `${folder}/${item}`;
}
