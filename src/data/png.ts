/**
 * PNG files to RGB bytes, by arithmetic alone: browsers give the colours of transparent pixels rounded or not at all.
 *
 * @see the PNG specification, third edition, https://www.w3.org/TR/png-3/
 */
import { crc32 } from '../files/crc32.js';
import type { RgbImage } from './resize.js';

/** Turns zlib's bytes into at most `length` others. @throws Error when they are damaged */
export type Unzlib = (packed: Uint8Array, length: number) => Uint8Array;

const SIGNATURE_BYTES = 8;
/** Numbers a pixel has, by colour type: grey, RGB, palette, grey and alpha, RGB and alpha. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
const PALETTE = 3;

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: number;
  readonly interlaced: boolean;
}

/** @throws Error when the header is none of a PNG */
export function sizeOfPng(bytes: Uint8Array): { width: number; height: number } {
  return headerOf(chunksOf(bytes, false)[0]);
}

/**
 * Alpha is dropped, a palette expanded, grey spread over three channels; of 16 bits the high 8 are kept.
 * @throws Error when the file is cut short, a checksum is wrong, or it contradicts itself
 */
export function decodePng(bytes: Uint8Array, unzlib: Unzlib): RgbImage {
  const chunks = chunksOf(bytes, true);
  const header = headerOf(chunks[0]);
  const palette = chunks.find(({ type }) => type === 'PLTE')?.data ?? null;
  if (header.colour === PALETTE && palette === null) throw new Error('it has no palette');
  const passes = passesOf(header);
  const length = passes.reduce((sum, pass) => sum + pass.rows * (1 + pass.rowBytes), 0);
  const packed = joined(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data));
  const lines = unzlib(packed, length);
  if (lines.length !== length) throw new Error(`premature end: ${lines.length} of ${length} bytes`);
  const pixels = new Uint8Array(3 * header.width * header.height);
  let at = 0;
  for (const pass of passes) {
    const end = at + pass.rows * (1 + pass.rowBytes);
    const rows = unfiltered(lines.subarray(at, end), pass, Math.max(1, (SAMPLES[header.colour]! * header.depth) >> 3));
    place(rows, pass, header, palette, pixels);
    at = end;
  }
  return { width: header.width, height: header.height, pixels };
}

/** What a PNG's EXIF says of its orientation, 1 to 8; 1 where it says nothing. @throws Error as `decodePng` */
export function turnOfPng(bytes: Uint8Array): number {
  const exif = chunksOf(bytes, true).find(({ type }) => type === 'eXIf')?.data;
  if (!exif || exif.length < 8) return 1;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const little = exif[0] === 0x49;
  const directory = view.getUint32(4, little);
  const count = directory + 2 <= exif.length ? view.getUint16(directory, little) : 0;
  for (let at = directory + 2; at < directory + 2 + 12 * count && at + 12 <= exif.length; at += 12) {
    if (view.getUint16(at, little) === ORIENTATION) return view.getUint16(at + 8, little);
  }
  return 1;
}
const ORIENTATION = 0x112;

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** @param all otherwise the first alone */
function chunksOf(bytes: Uint8Array, all: boolean): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = SIGNATURE_BYTES; ; ) {
    if (at + 12 > bytes.length) throw new Error('premature end of the file');
    const length = view.getUint32(at);
    if (length > bytes.length - at - 12) throw new Error('premature end of the file');
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    const critical = type.charCodeAt(0) < 0x60;
    if (critical && crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) {
      throw new Error(`the checksum of its ${type} does not match`);
    }
    chunks.push({ type, data });
    if (!all || type === 'IEND') return chunks;
    at += 12 + length;
  }
}

function headerOf(chunk: Chunk | undefined): Header {
  if (chunk?.type !== 'IHDR' || chunk.data.length !== 13) throw new Error('it has no header');
  const { data } = chunk;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, compression, filter, interlace] = [...data.subarray(8)] as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (width === 0 || height === 0) throw new Error(`it has ${width}×${height} pixels`);
  if (!DEPTHS[colour]?.includes(depth)) throw new Error(`it has ${depth} bits of colour type ${colour}`);
  if (compression !== 0 || filter !== 0 || interlace > 1) throw new Error('it is packed in no known way');
  return { width, height, depth, colour, interlaced: interlace === 1 };
}

/** Some of the rows and columns of an image. */
interface Pass {
  readonly firstRow: number;
  readonly rowStep: number;
  readonly firstColumn: number;
  readonly columnStep: number;
  readonly rows: number;
  readonly columns: number;
  readonly rowBytes: number;
}

/** Adam7: first row, step of rows, first column, step of columns. */
const ADAM7 = [
  [0, 8, 0, 8],
  [0, 8, 4, 8],
  [4, 8, 0, 4],
  [0, 4, 2, 4],
  [2, 4, 0, 2],
  [0, 2, 1, 2],
  [1, 2, 0, 1],
] as const;

function passesOf({ width, height, depth, colour, interlaced }: Header): Pass[] {
  const bits = depth * SAMPLES[colour]!;
  return (interlaced ? ADAM7 : ([[0, 1, 0, 1]] as const))
    .map(([firstRow, rowStep, firstColumn, columnStep]) => {
      const rows = Math.max(0, Math.ceil((height - firstRow) / rowStep));
      const columns = Math.max(0, Math.ceil((width - firstColumn) / columnStep));
      return { firstRow, rowStep, firstColumn, columnStep, rows, columns, rowBytes: Math.ceil((columns * bits) / 8) };
    })
    .filter(({ rows, columns }) => rows > 0 && columns > 0);
}

/** Undoes the prediction of each byte from its neighbours. @param step bytes to the pixel on the left */
function unfiltered(lines: Uint8Array, { rows, rowBytes }: Pass, step: number): Uint8Array {
  const out = new Uint8Array(rows * rowBytes);
  for (let row = 0; row < rows; row++) {
    const from = row * (1 + rowBytes);
    const to = row * rowBytes;
    const filter = lines[from]!;
    if (filter > 4) throw new Error(`row ${row} is filtered in no known way (${filter})`);
    for (let i = 0; i < rowBytes; i++) {
      const left = i < step ? 0 : out[to + i - step]!;
      const above = row === 0 ? 0 : out[to + i - rowBytes]!;
      const corner = row === 0 || i < step ? 0 : out[to + i - rowBytes - step]!;
      out[to + i] = lines[from + 1 + i]! + predicted(filter, left, above, corner);
    }
  }
  return out;
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const estimate = left + above - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

/** Writes a pass's pixels where they belong. */
function place(
  rows: Uint8Array,
  { firstRow, rowStep, firstColumn, columnStep, ...pass }: Pass,
  { width, depth, colour }: Header,
  palette: Uint8Array | null,
  pixels: Uint8Array,
): void {
  const samples = SAMPLES[colour]!;
  const coloured = colour === 2 || colour === 6;
  const sample = sampleReader(rows, depth);
  /** From a grey of few bits to 8. */
  const spread = depth < 8 ? 255 / (2 ** depth - 1) : 1;
  for (let row = 0; row < pass.rows; row++) {
    let to = 3 * ((firstRow + row * rowStep) * width + firstColumn);
    for (let column = 0; column < pass.columns; column++, to += 3 * columnStep) {
      const first = sample(row * pass.rowBytes, column * samples);
      for (let c = 0; c < 3; c++) {
        if (colour === PALETTE) pixels[to + c] = palette![3 * first + c] ?? 0;
        else pixels[to + c] = coloured ? sample(row * pass.rowBytes, column * samples + c) : first * spread;
      }
    }
  }
}

/** Reads the sample at a position of a row that begins at a byte; of 16 bits the high 8. */
function sampleReader(rows: Uint8Array, depth: number): (rowStart: number, at: number) => number {
  if (depth === 8) return (start, at) => rows[start + at]!;
  if (depth === 16) return (start, at) => rows[start + 2 * at]!;
  const perByte = 8 / depth;
  const mask = 2 ** depth - 1;
  return (start, at) => {
    const byte = rows[start + Math.floor(at / perByte)]!;
    return (byte >> (8 - depth * ((at % perByte) + 1))) & mask;
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
