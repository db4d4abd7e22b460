/** Pictures as PNG. */
import sharp from 'sharp';
import type { Picture } from '../pictures.js';

/** Pixels as a data: address, for a picture within a picture. */
export async function pngAddress({ side, pixels }: Picture): Promise<string> {
  const png = await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer();
  return `data:image/png;base64,${png.toString('base64')}`;
}

/** Pixels of the picture for one of the drawing's: sharp on screens that have two. */
const SCALE = 2;
/** Of an SVG at scale 1. */
const DOTS_PER_INCH = 72;

export const pngOfSvg = (svg: string): Promise<Buffer> =>
  sharp(Buffer.from(svg), { density: SCALE * DOTS_PER_INCH, limitInputPixels: false, unlimited: true })
    .png({ compressionLevel: 9, palette: false })
    .toBuffer();
