import { DatasetError } from '../errors.ts';

/**
 * Loads what needs sharp, which has a binary for each platform. Only when pictures are read: training from caches goes
 * without. Loaded here first, it also stays loaded when a worker thread that uses it ends.
 *
 * @throws {DatasetError} `DECODER_FAILED`
 */
export async function loadDecoder(): Promise<typeof import('./read-size.ts')> {
  try {
    return await import('./read-size.ts');
  } catch (cause) {
    const what = `The picture decoder sharp cannot be loaded: ${reasonOf(cause)}.`;
    const remedy = 'Install it for this platform: npm install --include=optional sharp';
    throw new DatasetError('DECODER_FAILED', what, remedy, { cause });
  }
}

export function unreadablePicture(file: string, cause: unknown): DatasetError {
  const what = `${file} cannot be read: ${reasonOf(cause)}.`;
  return new DatasetError('PICTURE_UNREADABLE', what, 'Save the picture again, or remove it.', { file, cause });
}

/** First line of a message, as decoders repeat themselves, without the decoder's own name. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (message.startsWith('ENOENT')) return 'it does not exist';
  if (/unsupported image format/.test(message)) return 'it is no PNG, JPEG, WebP, AVIF or BMP file';
  return (message.split('\n')[0] ?? '').replace(/^vips\w*: /i, '').replace(/\.$/, '');
}
