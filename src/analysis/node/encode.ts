/** Pictures as files. Beside data/node/decode.ts, which reads images, the only file that imports sharp. */
import sharp from 'sharp';
import type { Picture } from '../pictures.js';

/** Pixels as a data: address, for a picture within a picture: JPEG, which is a tenth of a PNG. */
export async function addressOf({ width, height, pixels }: Picture): Promise<string> {
  const raw = { width, height, channels: 3 } as const;
  const jpeg = await sharp(pixels, { raw }).jpeg({ quality: 92, chromaSubsampling: '4:4:4' }).toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

/** Pixels of the picture for one of the drawing's: sharp on screens that have two. */
const SCALE = 2;
/** Of an SVG at scale 1. */
const DOTS_PER_INCH = 72;

export const pngOfSvg = (svg: string): Promise<Buffer> =>
  sharp(Buffer.from(svg), { density: SCALE * DOTS_PER_INCH, limitInputPixels: false, unlimited: true })
    .png({ compressionLevel: 9 })
    .toBuffer();

/** A drawing of too many shapes for a page, as pixels: a data: address. */
export async function jpegAddressOfSvg(svg: string, widest: number): Promise<string> {
  const drawn = sharp(Buffer.from(svg), { density: SCALE * DOTS_PER_INCH, limitInputPixels: false, unlimited: true });
  const jpeg = await drawn
    .resize({ width: widest, withoutEnlargement: true })
    .flatten({ background: '#ffffff' })
    .jpeg({ quality: 85, chromaSubsampling: '4:4:4' })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}
