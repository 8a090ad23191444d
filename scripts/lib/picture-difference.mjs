import sharp from 'sharp';

/** What shows as another colour: less is a matter of the font renderer or of the last digit of a number. */
const visible = 64;

/** Share of pixels that look different in two pictures; 1 where their sizes differ. */
export async function pictureDifference(first, second) {
  const [a, b] = await Promise.all([first, second].map(greyPixels));
  if (a.info.width !== b.info.width || a.info.height !== b.info.height) return 1;
  const count = a.data.reduce((sum, value, i) => sum + (Math.abs(value - b.data[i]) > visible ? 1 : 0), 0);
  return count / a.data.length;
}

function greyPixels(path) {
  return sharp(path).flatten({ background: '#fff' }).greyscale().raw().toBuffer({ resolveWithObject: true });
}
