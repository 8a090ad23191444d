import type { WanVaeConfig } from './config.ts';

/** Channels before and behind a part. */
export interface Channels {
  readonly from: number;
  readonly to: number;
}

/** An entry of the encoder's `downsamples` or the decoder's `upsamples`. */
export interface Part extends Channels {
  readonly kind: 'residual' | 'resample';
  readonly path: string;
  /** For `resample`: frames too. */
  readonly inTime: boolean;
}

/** Level by level: residual blocks, then a downsampling. */
export function encoderParts({ levels }: WanVaeConfig): Part[] {
  const list = partList('encoder.downsamples');
  let from = levels[0]?.width ?? 0;
  levels.forEach(({ width, blocks, halvesFrames }, i) => {
    for (let block = 0; block < blocks; block++, from = width) list.add('residual', from, width);
    if (i < levels.length - 1) list.add('resample', width, width, halvesFrames);
  });
  return list.parts;
}

/** The levels in reverse: one residual block more each, then an upsampling, which halves the channels. */
export function decoderParts({ levels }: WanVaeConfig): Part[] {
  const list = partList('decoder.upsamples');
  let from = levels.at(-1)?.width ?? 0;
  levels.toReversed().forEach(({ width, blocks }, i) => {
    for (let block = 0; block <= blocks; block++, from = width) list.add('residual', from, width);
    const finer = levels.at(-2 - i);
    if (!finer) return;
    list.add('resample', width, width / 2, finer.halvesFrames);
    from = width / 2;
  });
  return list.parts;
}

function partList(path: string) {
  const parts: Part[] = [];
  const add = (kind: Part['kind'], from: number, to: number, inTime = false) =>
    parts.push({ kind, path: `${path}.${parts.length}`, from, to, inTime });
  return { parts, add };
}
