import type { Size } from './dataset-types.ts';
import { DatasetError } from './errors.ts';

/** What the name of a latent cache file says. */
export interface LatentCacheName {
  /** File name of the image or video without extension; text caches are named after it. */
  readonly base: string;
  /** Size in pixels: of the image before resizing, of a video's frames after it. */
  readonly width: number;
  readonly height: number;
  /** Part of a video, in frames. */
  readonly crop?: { readonly start: number; readonly length: number; readonly section?: number };
}

/** True for `<anything>_<architecture>.safetensors`; hidden files (`._clip_…`, as macOS writes) are none. */
export function isLatentCacheName(name: string, architecture: string): boolean {
  return !name.startsWith('.') && name.endsWith(`_${architecture}.safetensors`);
}

/**
 * `<base>_<width>x<height>_<architecture>.safetensors`, each side with at least four digits.
 *
 * @param base file name of the image without its last extension
 * @param size of the image before resizing, in pixels
 */
export function latentCacheName(base: string, size: Size, architecture: string): string {
  const [width, height] = size.map((side) => String(side).padStart(4, '0'));
  return `${base}_${width}x${height}_${architecture}.safetensors`;
}

/** `<base>_<architecture>_te.safetensors` */
export function textCacheName(base: string, architecture: string): string {
  return `${base}_${architecture}_te.safetensors`;
}

/** The `<base>` of a latent cache's name, null for other files (a LoRA called `cat_wan.safetensors`, say). */
export function latentCacheBase(name: string, architecture: string): string | null {
  if (!isLatentCacheName(name, architecture)) return null;
  const withSize = name.slice(0, name.lastIndexOf(`_${architecture}.`));
  return /^(.*)_\d+x\d+$/s.exec(withSize)?.[1] ?? null;
}

/** The `<base>` of a text cache's name, null for other files. */
export function textCacheBase(name: string, architecture: string): string | null {
  const end = textCacheName('', architecture);
  return !name.startsWith('.') && name.endsWith(end) ? name.slice(0, -end.length) : null;
}

/**
 * Reads `<base>_<width>x<height>_<architecture>.safetensors`, for a video
 * `<base>_<start>-<length>[-<section>]_<width>x<height>_<architecture>.safetensors`.
 *
 * @param file name or path, for the message
 * @throws {DatasetError} `CACHE_NAME`
 */
export function parseLatentCacheName(name: string, kind: 'image' | 'video', file = name): LatentCacheName {
  const parts = name.split('_').slice(0, -1);
  const [, width, height] = /^(\d+)x(\d+)$/.exec(parts.pop() ?? '') ?? [];
  if (!Number(width) || !Number(height)) throw badName(file, kind);
  const size = { width: Number(width), height: Number(height) };
  if (kind === 'image') return { base: parts.join('_'), ...size };

  const [, start, length, section] = /^(\d+)-(\d+)(?:-(\d+))?$/.exec(parts.pop() ?? '') ?? [];
  if (!Number(length)) throw badName(file, kind);
  const crop = { start: Number(start), length: Number(length) };
  const base = parts.join('_');
  return { base, ...size, crop: section === undefined ? crop : { ...crop, section: Number(section) } };
}

function badName(file: string, kind: 'image' | 'video'): DatasetError {
  const form = kind === 'image' ? 'NAME_0640x0480_ARCH' : 'NAME_00000-025_0640x0480_ARCH';
  const what = `${file} is not named like the latent cache of ${kind === 'image' ? 'an image' : 'a video'} (${form}.safetensors).`;
  const remedy =
    'Move it out of the cache folder, or give each dataset of images and of videos its own cache_directory.';
  return new DatasetError('CACHE_NAME', what, remedy, { file });
}
