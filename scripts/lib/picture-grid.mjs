// A contact sheet: what was trained on, at a glance.
import sharp from 'sharp';

const cell = 128;
const gap = 8;

/**
 * Writes the pictures side by side into one PNG, five a row, each whole and in the middle of its place.
 *
 * @param {readonly string[]} files paths of pictures, at least one
 * @param {string} target path of the PNG file
 */
export async function writePictureGrid(files, target) {
  if (files.length === 0) throw new Error('there are no pictures to show');
  const columns = Math.min(5, files.length);
  const pictures = await Promise.all(
    files.map(async (file, index) => ({
      input: await sharp(file).resize(cell, cell, { fit: 'contain', background: 'white' }).png().toBuffer(),
      left: place(index % columns),
      top: place(Math.floor(index / columns)),
    })),
  );
  const [width, height] = [place(columns), place(Math.ceil(files.length / columns))];
  const sheet = sharp({ create: { width, height, channels: 3, background: '#c8c8c8' } });
  await sheet.composite(pictures).removeAlpha().png().toFile(target);
}

/** Where the cell of a column or row starts, in pixels. */
function place(index) {
  return gap + index * (cell + gap);
}
