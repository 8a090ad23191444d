import { controlBucket, createBucketSelector } from './buckets.ts';
import type { ImageDatasetConfig, Size } from './dataset-types.ts';
import { DatasetError } from './errors.ts';

/** Sizes an image's pictures are brought to. */
export interface PictureSizes {
  /** Of all targets. */
  readonly bucket: Size;
  /** Of the control images, in their order. */
  readonly controls: readonly Size[];
}

/**
 * Returns the function that gives an image its bucket and its control images their sizes: the bucket too, or with
 * `control_resolution` buckets of their own, or with `no_resize_control` their own sizes, rounded down to the step. With both
 * options control images above the area of `control_resolution` get a bucket, smaller ones keep their exact size.
 *
 * @throws {DatasetError} `OPTION_OUT_OF_RANGE`
 */
export function createPictureSizes(
  config: ImageDatasetConfig,
): (target: Size, controls: readonly Size[]) => PictureSizes {
  const { noResizeControl, controlResolution } = config;
  const step = config.architecture.bucketStep;
  const selectBucket = createBucketSelector({ ...config, step });

  function controlSize(size: Size, bucket: Size): Size {
    if (!controlResolution) return noResizeControl ? roundDown(size, step) : bucket;
    const isWithin = size[0] * size[1] <= controlResolution[0] * controlResolution[1];
    return noResizeControl && isWithin ? size : controlBucket(size, controlResolution, step);
  }

  return (target, controls) => {
    const bucket = selectBucket(target);
    return { bucket, controls: controls.map((size) => controlSize(size, bucket)) };
  };
}

// what one latent pixel stands for
const smallestSide = 8;

/** @throws {DatasetError} `PICTURE_TOO_SMALL` when a picture would come out smaller than encoders take */
export function assertEncodable(file: string, original: Size, size: Size): void {
  if (Math.min(...size) >= smallestSide) return;
  const what = `${file}, ${original.join(' x ')} pixels, would become ${size.join(' x ')}; encoders need ${smallestSide} a side.`;
  const remedy =
    'Remove it, take a larger resolution, or leave out bucket_no_upscale (images) and no_resize_control (controls).';
  throw new DatasetError('PICTURE_TOO_SMALL', what, remedy, { file, value: original });
}

function roundDown([width, height]: Size, step: number): Size {
  return [width - (width % step), height - (height % step)];
}
