import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';

import { TorchGenerator } from '../../packages/random/src/index.ts';

const aspects = [4 / 3, 3 / 2, 16 / 9, 1, 2 / 3, 3 / 4];
const formats = ['jpeg', 'png', 'webp'] as const;
const options = { jpeg: { quality: 90 }, png: { compressionLevel: 6 }, webp: { quality: 85, effort: 0 } };
const extension = { jpeg: 'jpg', png: 'png', webp: 'webp' };

/** A picture of the bench, and its size. */
export interface BenchPicture {
  readonly file: string;
  readonly width: number;
  readonly height: number;
}

/**
 * Writes `count` captioned pictures: formats by turns, areas from 0.5 to `megapixels` in equal ratios, six aspect ratios.
 * Their content is seeded: soft shapes with grain, which compress about as photographs do.
 */
export async function writePictures(folder: string, count: number, megapixels: number): Promise<BenchPicture[]> {
  const pictures = Array.from({ length: count }, async (_, index): Promise<BenchPicture> => {
    const format = formats[index % formats.length] ?? 'png';
    const area = 0.5e6 * (megapixels / 0.5) ** (index / Math.max(1, count - 1));
    const aspect = aspects[Math.floor(index / formats.length) % aspects.length] ?? 1;
    const [width, height] = [Math.round(Math.sqrt(area * aspect)), Math.round(Math.sqrt(area / aspect))];
    const name = String(index).padStart(3, '0');
    const file = join(folder, `${name}.${extension[format]}`);
    return limited(async () => {
      const shapes = await enlarged(index, 24, width, height);
      const grain = await enlarged(index + count, 3, width, height);
      for (let i = 0; i < shapes.length; i++) shapes[i] = ((shapes[i] ?? 0) * 7 + (grain[i] ?? 0)) >> 3;
      const image = sharp(shapes, { raw: { width, height, channels: 3 } });
      await image.toFormat(format, options[format]).toFile(file);
      await writeFile(join(folder, `${name}.txt`), `picture ${name}`);
      return { file, width, height };
    });
  });
  return Promise.all(pictures);
}

/** Random values, one in a square of `scale` pixels, enlarged. */
function enlarged(seed: number, scale: number, width: number, height: number): Promise<Uint8Array> {
  const small = { width: Math.ceil(width / scale), height: Math.ceil(height / scale), channels: 3 as const };
  const values = new TorchGenerator(seed).rand(small.width * small.height * 3);
  const image = sharp(
    Uint8Array.from(values, (value) => value * 256),
    { raw: small },
  );
  return image.resize(width, height, { fit: 'fill', kernel: 'cubic' }).raw().toBuffer();
}

const limited = createLimit(availableParallelism());

/** Returns a function that runs at most `limit` tasks at a time. */
export function createLimit(limit: number): <Result>(task: () => Promise<Result>) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
