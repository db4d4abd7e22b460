/**
 * Windows bitmaps, which libvips as sharp brings it does not read: uncompressed, of 1, 4, 8, 16, 24 or 32 bits.
 *
 * @see https://learn.microsoft.com/windows/win32/gdi/bitmap-structures; bytes as Pillow's BmpImagePlugin gives them
 */
import type { RgbImage } from './resize.js';

const FILE_HEADER = 14;
/** The first header that existed, with sizes of 16 bits and a palette of three bytes a colour. */
const CORE_HEADER = 12;
const RGB = 0;
const BITFIELDS = [3, 6];

interface Header {
  width: number;
  height: number;
  /** Rows stand from the top down, where the usual order is from the bottom up. */
  topDown: boolean;
  bits: number;
  /** Where the pixels begin. */
  start: number;
  palette: { at: number; stride: number; colours: number };
  masks: readonly [number, number, number];
}

/** Width and height alone. @throws Error as `decodeBmp` */
export function sizeOfBmp(bytes: Uint8Array): { width: number; height: number } {
  const { width, height } = readHeader(bytes);
  return { width, height };
}

/**
 * @returns pixels [height, width, 3]; a fourth channel is dropped
 * @throws Error with the reason: run-length encoding and embedded formats are not read, nor what is cut short
 */
export function decodeBmp(bytes: Uint8Array): RgbImage {
  const header = readHeader(bytes);
  const { width, height, bits, start } = header;
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  if (start + rowBytes * (height - 1) + Math.ceil((width * bits) / 8) > bytes.length) {
    throw new Error('premature end of file');
  }
  const pixels = new Uint8Array(width * height * 3);
  const putPixel = pixelReader(bytes, header, pixels);
  for (let y = 0; y < height; y++) {
    const row = start + rowBytes * (header.topDown ? y : height - 1 - y);
    for (let x = 0; x < width; x++) putPixel(row, x, (y * width + x) * 3);
  }
  return { width, height, pixels };
}

function readHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < FILE_HEADER + CORE_HEADER) throw new Error('premature end of file');
  const headerBytes = view.getUint32(14, true);
  const core = headerBytes === CORE_HEADER;
  if (!core && (headerBytes < 40 || bytes.length < FILE_HEADER + 40)) throw new Error('no bitmap header');
  const signedHeight = core ? view.getUint16(20, true) : view.getInt32(22, true);
  const width = core ? view.getUint16(18, true) : view.getInt32(18, true);
  const height = Math.abs(signedHeight);
  const bits = view.getUint16(core ? 24 : 28, true);
  const compression = core ? RGB : view.getUint32(30, true);
  if (width < 1 || height < 1) throw new Error(`${width}×${height} pixels`);
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw new Error(`${bits} bits a pixel`);
  const bitfields = BITFIELDS.includes(compression);
  if (compression !== RGB && !(bitfields && bits >= 16)) throw new Error(`compression ${compression} is not read`);
  const coloursUsed = core ? 0 : view.getUint32(46, true);
  const colours = bits > 8 ? 0 : Math.min(coloursUsed || 2 ** bits, 2 ** bits);
  const start = view.getUint32(10, true);
  const stride = core ? 3 : 4;
  const at = FILE_HEADER + headerBytes;
  if (at + colours * stride > bytes.length || (bitfields && bytes.length < 66))
    throw new Error('premature end of file');
  const given = bitfields ? ([0, 4, 8].map((by) => view.getUint32(54 + by, true)) as [number, number, number]) : null;
  const masks = given ?? (bits === 16 ? ([0x7c00, 0x3e0, 0x1f] as const) : ([0xff0000, 0xff00, 0xff] as const));
  return { width, height, topDown: signedHeight < 0, bits, start, palette: { at, stride, colours }, masks };
}

type PutPixel = (row: number, x: number, to: number) => void;

function pixelReader(bytes: Uint8Array, { bits, palette, masks }: Header, out: Uint8Array): PutPixel {
  if (bits === 24) {
    return (row, x, to) => {
      for (let c = 0; c < 3; c++) out[to + c] = bytes[row + 3 * x + 2 - c]!;
    };
  }
  if (bits > 8) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const channels = masks.map(channelOf);
    return (row, x, to) => {
      const value = bits === 16 ? view.getUint16(row + 2 * x, true) : view.getUint32(row + 4 * x, true);
      for (let c = 0; c < 3; c++) out[to + c] = channels[c]!(value);
    };
  }
  const perByte = 8 / bits;
  return (row, x, to) => {
    const byte = bytes[row + Math.floor(x / perByte)]!;
    const index = (byte >> (8 - bits * ((x % perByte) + 1))) & (2 ** bits - 1);
    if (index >= palette.colours) return; // beyond the palette is black
    for (let c = 0; c < 3; c++) out[to + c] = bytes[palette.at + palette.stride * index + 2 - c]!;
  };
}

/** The part of a pixel's number that a mask points at, stretched to 0 … 255. */
function channelOf(mask: number): (value: number) => number {
  if (mask === 0) return () => 0;
  const lowest = (mask & -mask) >>> 0;
  const largest = mask / lowest;
  return (value) => Math.floor(((((value & mask) >>> 0) / lowest) * 255) / largest);
}
