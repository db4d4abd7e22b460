/**
 * Portable any-maps (PBM, PGM, PPM), plain and binary: three numbers and the samples.
 *
 * @see https://netpbm.sourceforge.net/doc/ppm.html
 */
import type { RgbImage } from './resize.js';

interface Header {
  /** 1 to 6. */
  kind: number;
  width: number;
  height: number;
  /** The number of white. */
  largest: number;
  /** Where the samples begin. */
  start: number;
}

/** Width and height alone. @throws Error as `decodePnm` */
export function sizeOfPnm(bytes: Uint8Array): { width: number; height: number } {
  const { width, height } = readHeader(bytes);
  return { width, height };
}

/** @returns pixels [height, width, 3], scaled to 0 … 255 @throws Error with the reason */
export function decodePnm(bytes: Uint8Array): RgbImage {
  const header = readHeader(bytes);
  const { kind, width, height, largest } = header;
  const channels = kind % 3 === 0 ? 3 : 1;
  const samples = kind < 4 ? plainSamples(bytes, header, channels) : binarySamples(bytes, header, channels);
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      const sample = samples(channels === 3 ? 3 * i + c : i);
      pixels[3 * i + c] = Math.min(255, Math.round((sample * 255) / largest));
    }
  }
  return { width, height, pixels };
}

function readHeader(bytes: Uint8Array): Header {
  const kind = bytes[1]! - 0x30;
  const bitmap = kind === 1 || kind === 4;
  const numbers: number[] = [];
  let at = 2;
  while (numbers.length < (bitmap ? 2 : 3)) {
    const token = nextToken(bytes, at);
    numbers.push(token.value);
    at = token.end;
  }
  const [width, height, largest = 1] = numbers as [number, number, number?];
  if (width < 1 || height < 1 || largest < 1 || largest > 65_535) {
    throw new Error(`${width}×${height} pixels up to ${largest}`);
  }
  return { kind, width, height, largest, start: at + 1 };
}

/** A whole number behind white space and comments. */
function nextToken(bytes: Uint8Array, from: number): { value: number; end: number } {
  let at = from;
  for (; at < bytes.length; at++) {
    if (bytes[at] === 0x23) while (at < bytes.length && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at++;
    else if (!isSpace(bytes[at]!)) break;
  }
  let value = 0;
  const start = at;
  for (; at < bytes.length && bytes[at]! >= 0x30 && bytes[at]! <= 0x39; at++) value = 10 * value + bytes[at]! - 0x30;
  if (at === start || at - start > 9) throw new Error(at >= bytes.length ? 'premature end of file' : 'no number');
  return { value, end: at };
}

const isSpace = (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

function plainSamples(bytes: Uint8Array, { kind, width, height, start }: Header, channels: number) {
  const count = width * height * channels;
  // each sample takes a character at least, so a header that lies costs no memory
  if (count > bytes.length - start + 1) throw new Error('premature end of file');
  const samples = new Uint16Array(count);
  for (let i = 0, at = start - 1; i < count; i++) {
    if (kind === 1) {
      // digits of a plain bitmap need no space between them, and 1 is black
      while (at < bytes.length && isSpace(bytes[at]!)) at++;
      if (bytes[at] !== 0x30 && bytes[at] !== 0x31) throw new Error('premature end of file');
      samples[i] = bytes[at++] === 0x30 ? 1 : 0;
    } else {
      const token = nextToken(bytes, at);
      samples[i] = Math.min(token.value, 65_535);
      at = token.end;
    }
  }
  return (i: number) => samples[i]!;
}

function binarySamples(bytes: Uint8Array, { kind, width, height, largest, start }: Header, channels: number) {
  const wide = largest > 255 ? 2 : 1;
  const rowBytes = kind === 4 ? Math.ceil(width / 8) : width * channels * wide;
  if (start + rowBytes * height > bytes.length) throw new Error('premature end of file');
  if (kind === 4) {
    return (i: number) => {
      const x = i % width;
      return (bytes[start + rowBytes * Math.floor(i / width) + (x >> 3)]! >> (7 - (x & 7))) & 1 ? 0 : 1;
    };
  }
  if (wide === 1) return (i: number) => bytes[start + i]!;
  return (i: number) => bytes[start + 2 * i]! * 256 + bytes[start + 2 * i + 1]!;
}
