/** What kind of picture a file is by its first bytes; the name says nothing that could be relied on. */

/** Those that are decoded. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif' | 'bmp' | 'pnm';

const startsWith = (bytes: Uint8Array, text: string, at = 0): boolean => latin1(bytes, at, text.length) === text;

const latin1 = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** The format of a file's bytes, or null where it is none that is decoded. */
export function imageFormat(bytes: Uint8Array): ImageFormat | null {
  const starts = (text: string) => startsWith(bytes, text);
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (starts('\x89PNG\r\n\x1a\n')) return 'png';
  if (starts('RIFF') && startsWith(bytes, 'WEBP', 8)) return 'webp';
  if (starts('GIF87a') || starts('GIF89a')) return 'gif';
  // the four marks of TIFF: either byte order, classic or with 64-bit offsets
  if (starts('II*\0') || starts('MM\0*') || starts('II+\0') || starts('MM\0+')) return 'tiff';
  if (brandsOf(bytes).includes('avif')) return 'avif';
  if (starts('BM') && bytes.length > 18 && bytes[15] === 0 && bytes[16] === 0 && bytes[17] === 0) return 'bmp';
  return /^P[1-6][\s#]/.test(latin1(bytes, 0, 3)) ? 'pnm' : null;
}

/** Formats that people have and that are not decoded, by their first bytes; null where it is none of these either. */
export function undecodedFormat(bytes: Uint8Array): string | null {
  const brands = brandsOf(bytes);
  if (brands.some((brand) => /^(hei[cxms]|hev[cxms])$/.test(brand))) return 'HEIC';
  if (brands.includes('avis')) return 'AVIF sequence';
  if (startsWith(bytes, '8BPS')) return 'Photoshop file';
  if (startsWith(bytes, '\xff\x0a') || startsWith(bytes, '\0\0\0\x0cJXL ')) return 'JPEG XL';
  if (startsWith(bytes, '\0\0\0\x0cjP  ')) return 'JPEG 2000';
  return null;
}

/** What a file of the ISO base media format calls itself: its major brand, then those it is compatible with. @see ISO/IEC 14496-12 */
function brandsOf(bytes: Uint8Array): string[] {
  if (!startsWith(bytes, 'ftyp', 4)) return [];
  const end = Math.min(bytes[3]! + 256 * bytes[2]!, bytes.length, 256);
  const brands = [latin1(bytes, 8, 4)];
  for (let at = 16; at + 4 <= end; at += 4) brands.push(latin1(bytes, at, 4));
  return brands;
}
