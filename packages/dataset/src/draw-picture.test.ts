import { expect, test } from 'vitest';

import { colorDepth, drawPicture, type Pixels } from './index.ts';

const rgb = (width: number, height: number, ...colors: number[][]): Pixels => ({
  width,
  height,
  channels: 3,
  data: Uint8Array.from(colors.flat()),
});
const red = [255, 0, 0];
const green = [0, 255, 0];
const grey = [128, 128, 128];
const black = [0, 0, 0];
const white = [255, 255, 255];

const visible = (text: string) => text.replaceAll('\u001b', 'ESC').trimEnd();

test('draws by brightness without colour, two pixels a character', () => {
  const columns = [black, grey, white];
  expect(drawPicture(rgb(3, 2, ...columns, ...columns))).toBe(' +@\n');
  expect(drawPicture(rgb(3, 2, ...columns, black, black, black))).toBe(' :+\n');
});

test('draws pairs of pixels in 24-bit colour', () => {
  expect(visible(drawPicture(rgb(1, 2, red, green), { color: 'truecolor' }))).toBe(
    'ESC[38;2;255;0;0;48;2;0;255;0m▀ESC[0m',
  );
});

test('names a colour once where it goes on, and none below the picture', () => {
  const drawn = drawPicture(rgb(2, 1, red, red), { color: 'truecolor' });
  expect(visible(drawn)).toBe('ESC[38;2;255;0;0;49m▀▀ESC[0m');
});

test.each([
  [red, 196],
  [green, 46],
  [black, 16],
  [white, 231],
  [grey, 244],
  [[95, 135, 175], 67],
  [[100, 98, 99], 241],
])('gives %j the number %i of 256', (color, number) => {
  expect(drawPicture(rgb(1, 1, color), { color: 'ansi256' })).toContain(`38;5;${number};`);
});

test.each([
  [80, [80, 20]],
  [10, [10, 3]],
  [0, [1, 1]],
  [500, [120, 30]],
])('fits a terminal of %i columns and keeps the shape', (width, [columns, lines]) => {
  const pixels: Pixels = { width: 120, height: 60, channels: 1, data: new Uint8Array(7200).fill(255) };
  const drawn = drawPicture(pixels, { width }).trimEnd().split('\n');
  expect([drawn[0]?.length, drawn.length]).toEqual([columns, lines]);
});

test('shows transparent parts black', () => {
  const pixels: Pixels = {
    width: 2,
    height: 1,
    channels: 4,
    data: Uint8Array.from([255, 255, 255, 0, 255, 255, 255, 255]),
  };
  expect(drawPicture(pixels)).toBe(' @\n');
});

test.each([
  [{ TERM: 'xterm-256color' }, true, 'ansi256'],
  [{ COLORTERM: 'truecolor' }, true, 'truecolor'],
  [{ COLORTERM: '24bit' }, true, 'truecolor'],
  [{ WT_SESSION: 'x' }, true, 'truecolor'],
  [{ COLORTERM: 'truecolor', NO_COLOR: '1' }, true, 'none'],
  [{ COLORTERM: 'truecolor', NO_COLOR: '' }, true, 'truecolor'],
  [{ TERM: 'dumb' }, true, 'none'],
  [{ COLORTERM: 'truecolor' }, false, 'none'],
] as const)('with %j, terminal %s, shows %s', (environment, isTerminal, depth) => {
  expect(colorDepth(environment, isTerminal)).toBe(depth);
});
