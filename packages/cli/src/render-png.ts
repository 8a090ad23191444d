import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { writeFileAtomic } from '@musubi/safetensors/node';

import { CliError } from './errors.ts';

/** Family of the font that pictures are rendered with: it comes along, because a machine may have none. */
export const pngFont = 'Inter';

/**
 * An SVG picture as the bytes of a PNG file.
 *
 * @throws {CliError} `PNG_UNAVAILABLE` where the renderer has no build for this machine
 */
export async function renderPng(svg: string): Promise<Uint8Array> {
  try {
    const { Resvg } = await import('@resvg/resvg-js');
    const fontFile = createRequire(import.meta.url).resolve('@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf');
    const font = { fontFiles: [fontFile], loadSystemFonts: false, defaultFontFamily: pngFont };
    return new Resvg(svg, { font }).render().asPng();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    const remedy = 'Ask for console instead of image.';
    throw new CliError('PNG_UNAVAILABLE', `A PNG file cannot be made here: ${reason}.`, remedy, { cause });
  }
}

/**
 * Writes a picture as `<output_name>-<what>.png` into the output folder, whole or not at all.
 *
 * @returns its path
 * @throws {CliError} `PNG_UNAVAILABLE`
 */
export async function writePng(
  svg: string,
  { outputDir, outputName }: { readonly outputDir: string; readonly outputName: string },
  what: string,
): Promise<string> {
  const png = await renderPng(svg);
  const path = join(outputDir, `${outputName}-${what}.png`);
  await mkdir(outputDir, { recursive: true });
  await writeFileAtomic(path, png);
  return path;
}
