import type { Size } from '../dataset-types.ts';
import { type Pixels, withoutAlpha } from '../pixels.ts';
import { resizeToBucket } from '../resize-to-bucket.ts';
import { decodePictureFile } from './decode-picture.ts';

/** Pictures of one item: files and what they are to become. */
export interface PictureTask {
  readonly targets: readonly string[];
  readonly controls: readonly string[];
  /** Of the first target, as its header said when the batches were planned. */
  readonly size: Size;
  readonly bucket: Size;
  readonly controlSizes: readonly Size[];
  /** Keep the alpha channel of targets. */
  readonly keepsAlpha: boolean;
}

export interface PreparedPictures {
  readonly targets: readonly Pixels[];
  readonly controls: readonly Pixels[];
}

/** The file that cannot be used, and why. */
export interface UnusablePicture {
  readonly file: string;
  readonly reason: string;
}

/** Decodes, resizes and cuts the pictures of an item. Runs in a worker thread. */
export async function preparePictures(task: PictureTask): Promise<PreparedPictures | UnusablePicture> {
  const targets: Pixels[] = [];
  const controls: Pixels[] = [];
  let file = '';
  try {
    for (file of task.targets) {
      const pixels = await decodePictureFile(file);
      if (targets.length === 0) assertSize(pixels, task.size);
      const resized = resize(pixels, task.bucket);
      targets.push(task.keepsAlpha ? resized : withoutAlpha(resized));
    }
    for (file of task.controls) {
      const pixels = await decodePictureFile(file);
      controls.push(resize(pixels, task.controlSizes[controls.length] ?? task.bucket));
    }
    return { targets, controls };
  } catch (error) {
    return { file, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** In memory of its own, which can move to another thread; a decoder's cannot. */
function resize(pixels: Pixels, size: Size): Pixels {
  const resized = resizeToBucket(pixels, size);
  return resized === pixels ? { ...pixels, data: pixels.data.slice() } : resized;
}

function assertSize({ width, height }: Pixels, size: Size): void {
  if (width === size[0] && height === size[1]) return;
  throw new Error(`it has ${width} x ${height} pixels, its header said ${size.join(' x ')}`);
}
