import { averageArea } from './area-average.ts';
import { premultiplied } from './internal/premultiply.ts';
import { type Pixels, withoutAlpha } from './pixels.ts';

/** Colours a terminal shows: none at all, the 256 of xterm, or 24 bits. */
export type ColorDepth = 'none' | 'ansi256' | 'truecolor';

export interface DrawPictureOptions {
  /** Columns of the terminal, default 80. */
  readonly width?: number;
  /** Default `none`. */
  readonly color?: ColorDepth;
}

/**
 * What a terminal shows, by the variables it sets: nothing where `NO_COLOR` is set to anything (https://no-color.org), where
 * `TERM` is `dumb`, or where the output goes elsewhere.
 *
 * @param environment as `process.env`
 */
export function colorDepth(environment: Readonly<Record<string, string | undefined>>, isTerminal: boolean): ColorDepth {
  const { NO_COLOR: noColor = '', TERM: terminal = '', COLORTERM: colors = '' } = environment;
  if (!isTerminal || noColor !== '' || terminal === 'dumb') return 'none';
  if (colors === 'truecolor' || colors === '24bit' || environment['WT_SESSION'] !== undefined) return 'truecolor';
  return 'ansi256';
}

/**
 * Draws a picture with characters: in colour two pixels above each other a character (`▀`), without by its brightness.
 * Transparent parts are black. It is reduced to `width` columns; a narrower one keeps its width.
 *
 * @returns lines that each end in `\n`
 */
export function drawPicture(pixels: Pixels, { width = 80, color = 'none' }: DrawPictureOptions = {}): string {
  const columns = Math.max(1, Math.min(Math.floor(width), pixels.width));
  const rows = Math.max(1, Math.round((columns * pixels.height) / pixels.width));
  const opaque = pixels.channels === 4 ? withoutAlpha(premultiplied(pixels)) : pixels;
  const small = averageArea(opaque, [columns, rows]);
  const lines = Array.from({ length: Math.ceil(rows / 2) }, (_, y) =>
    color === 'none' ? brightnessLine(small, 2 * y) : colorLine(small, 2 * y, color),
  );
  return lines.map((line) => `${line}\n`).join('');
}

type Rgb = readonly [red: number, green: number, blue: number];

/** Null below the picture. */
function colorAt({ width, height, channels, data }: Pixels, x: number, y: number): Rgb | null {
  if (y >= height) return null;
  const at = (y * width + x) * channels;
  const of = (channel: number) => data[at + (channels === 1 ? 0 : channel)] ?? 0;
  return [of(0), of(1), of(2)];
}

const shades = ' .:-=+*#%@'; // from dark to bright

function brightnessLine(pixels: Pixels, y: number): string {
  let line = '';
  for (let x = 0; x < pixels.width; x++) {
    const upper = brightness(colorAt(pixels, x, y));
    const lower = y + 1 < pixels.height ? brightness(colorAt(pixels, x, y + 1)) : upper;
    line += shades[Math.round(((upper + lower) / 510) * (shades.length - 1))];
  }
  return line.trimEnd();
}

/** Luma as television weighs the colours (ITU-R BT.601), 0 to 255. */
function brightness(color: Rgb | null): number {
  const [red, green, blue] = color ?? [0, 0, 0];
  return (299 * red + 587 * green + 114 * blue) / 1000;
}

const escape = '\u001b[';
const reset = `${escape}0m`;

function colorLine(pixels: Pixels, y: number, depth: 'ansi256' | 'truecolor'): string {
  let line = '';
  let current = '';
  for (let x = 0; x < pixels.width; x++) {
    const upper = colorCode(38, colorAt(pixels, x, y), depth);
    const style = `${escape}${upper};${colorCode(48, colorAt(pixels, x, y + 1), depth)}m`;
    line += style === current ? '▀' : `${style}▀`;
    current = style;
  }
  return line + reset;
}

/** @param ground 38 for the character, 48 for what is behind it */
function colorCode(ground: 38 | 48, color: Rgb | null, depth: 'ansi256' | 'truecolor'): string {
  if (!color) return String(ground + 1); // the terminal's own
  return depth === 'truecolor' ? `${ground};2;${color.join(';')}` : `${ground};5;${nearestOf256(color)}`;
}

const cubeLevels = [0, 95, 135, 175, 215, 255];

/** Number of the nearest colour among xterm's cube of 6 x 6 x 6 (from 16) and its 24 greys (from 232). */
function nearestOf256(color: Rgb): number {
  const steps = color.map((value) => (value < 48 ? 0 : value < 115 ? 1 : Math.floor((value - 35) / 40)));
  const [red = 0, green = 0, blue = 0] = steps;
  const mean = (color[0] + color[1] + color[2]) / 3;
  const grey = Math.max(0, Math.min(23, Math.round((mean - 8) / 10)));
  const toCube = distance(
    color,
    steps.map((step) => cubeLevels[step] ?? 0),
  );
  const toGrey = distance(color, [8 + 10 * grey, 8 + 10 * grey, 8 + 10 * grey]);
  return toGrey < toCube ? 232 + grey : 16 + 36 * red + 6 * green + blue;
}

function distance(a: Rgb, b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0);
}
