// Captioned pictures for the quick start: emoji of the set Fluent Emoji Flat (Microsoft, MIT) with the names that
// emojibase-data (MIT) has for them.
import { createRequire } from 'node:module';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

const load = createRequire(import.meta.url);

const white = '#ffffff';
const rose = '#fde7ec';
const mint = '#e4f6ec';
const sky = '#e3f0fd';
const sand = '#fbf2dc';

// code point, width, height, format, background
const samples = [
  ['1F34E', 128, 128, 'png', white], // red apple
  ['1F34C', 160, 120, 'jpg', sky], // banana
  ['1F347', 120, 160, 'webp', mint], // grapes
  ['1F353', 192, 128, 'png', white], // strawberry
  ['1F34B', 96, 96, 'jpg', rose], // lemon
  ['1F349', 192, 144, 'png', sand], // watermelon
  ['1F352', 128, 192, 'webp', white], // cherries
  ['1F34D', 112, 168, 'jpg', sky], // pineapple
  ['1F951', 144, 144, 'png', rose], // avocado
  ['1F955', 176, 144, 'webp', white], // carrot
  ['1F98A', 160, 160, 'png', mint], // fox
  ['1F43C', 192, 192, 'jpg', white], // panda
  ['1F981', 144, 176, 'png', sky], // lion
  ['1F438', 168, 112, 'webp', sand], // frog
  ['1F427', 128, 160, 'png', white], // penguin
  ['1F989', 160, 128, 'jpg', rose], // owl
  ['1F422', 192, 112, 'png', white], // turtle
  ['1F419', 112, 112, 'webp', sky], // octopus
  ['1F41D', 136, 120, 'jpg', mint], // honeybee
  ['1F98B', 176, 176, 'png', white], // butterfly
];

/**
 * Writes 20 pictures of 96 to 192 pixels a side (PNG, JPEG, WebP) into `folder`, each with its caption in a text file beside it.
 *
 * @returns {Promise<{ file: string, caption: string }[]>} paths of the pictures, in a fixed order
 */
export async function writeSamplePictures(folder) {
  await mkdir(folder, { recursive: true });
  const drawings = load('@iconify-json/fluent-emoji-flat/icons.json');
  const nameOf = load('@iconify-json/fluent-emoji-flat/chars.json');
  const labels = new Map(load('emojibase-data/en/data.json').map(({ hexcode, label }) => [hexcode, label]));
  return Promise.all(
    samples.map(async ([hexcode, width, height, extension, background]) => {
      const label = labels.get(hexcode);
      const drawing = drawings.icons[nameOf[hexcode.toLowerCase()]];
      if (!label || !drawing) throw new Error(`the emoji packages have no ${hexcode}`);
      const name = label.replaceAll(' ', '-');
      const file = join(folder, `${name}.${extension}`);
      const caption = `a flat emoji of ${withArticle(label)}`;
      await render(drawing.body, drawings.width, width, height, background).toFile(file);
      await writeFile(join(folder, `${name}.txt`), `${caption}\n`);
      return { file, caption };
    }),
  );
}

/** The drawing in the middle, an eighth of the shorter side away from the edges. */
function render(body, grid, width, height, background) {
  const side = Math.round(Math.min(width, height) * 0.75);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}" viewBox="0 0 ${grid} ${grid}">${body}</svg>`;
  const canvas = sharp({ create: { width, height, channels: 3, background } });
  return canvas
    .composite([{ input: Buffer.from(svg) }])
    .removeAlpha()
    .jpeg({ quality: 95, force: false })
    .webp({ quality: 95, force: false });
}

/** `an owl`, `a fox`, `grapes` */
function withArticle(label) {
  if (label.endsWith('es')) return label;
  return `${/^[aeiou]/.test(label) ? 'an' : 'a'} ${label}`;
}
