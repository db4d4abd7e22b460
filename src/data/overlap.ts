/**
 * Pictures that are in training and in what is measured on: byte for byte, by their pixels, or so alike that one is the
 * other saved anew. What a model has seen, it need not recognise.
 */
import { type ImageSize, pixelsOf, sameImageSize, sidesOf } from '../image-size.js';
import type { PixelStore } from './pixels.js';

/** How many of the measured images have a like in training, and one such pair. Each image counts once, as the strictest. */
export interface Overlap {
  measured: number;
  /** Whether pixels were compared as well, of all images: of very many they are not. */
  whole: boolean;
  sameFile: Likeness;
  samePixels: Likeness;
  alike: Likeness;
}

export interface Likeness {
  count: number;
  /** Names of a measured image and its like in training. */
  example: readonly [string, string] | null;
}

/** Side of the thumbnails that are compared. */
const SIDE = 16;
const CELLS = 3 * SIDE * SIDE;
/**
 * Two pictures are alike when their thumbnails differ by this root mean square at most, in levels of 255, and by this
 * share of their contrast: a JPEG saved anew or made smaller differs by 1 to 3, neighbouring scenes by 10 and more.
 */
const ALIKE_LEVELS = 4;
const ALIKE_SHARE = 0.1;
const IMAGES_AT_ONCE = 32;
/** Beyond these, files are still compared, but pixels are not: looking would take longer than it is worth. */
const MAX_PIXEL_BYTES = 8e9;
const MAX_COMPARISONS = 3e8;

/**
 * Compares every measured image with every one of training.
 * @throws the signal's reason
 */
export async function findOverlap(training: PixelStore, measured: PixelStore, signal?: AbortSignal): Promise<Overlap> {
  const overlap: Overlap = {
    measured: measured.count,
    whole: true,
    sameFile: none(),
    samePixels: none(),
    alike: none(),
  };
  const rest = compareFiles(training, measured, overlap);
  if (rest.length === 0) return overlap;
  const bytes = (training.count + measured.count) * 3 * pixelsOf(training.size);
  if (bytes > MAX_PIXEL_BYTES || !sameImageSize(training.size, measured.size)) return { ...overlap, whole: false };
  const [known, asked] = [await thumbnailsOf(training, signal), await thumbnailsOf(measured, signal)];
  const byBrightness = Array.from({ length: training.count }, (_, i) => i).sort(
    (a, b) => known[a]!.mean - known[b]!.mean,
  );
  const search = { byBrightness, known, cellsLeft: MAX_COMPARISONS };
  for (const index of rest) {
    signal?.throwIfAborted();
    const candidates = alikeTo(asked[index]!, search);
    if (candidates.length === 0) continue;
    const equal = await firstEqual(training, candidates, await measured.read([index]));
    note(equal === null ? overlap.alike : overlap.samePixels, [
      measured.names[index]!,
      training.names[equal ?? candidates[0]!]!,
    ]);
  }
  return { ...overlap, whole: search.cellsLeft > 0 };
}

const none = (): Likeness => ({ count: 0, example: null });

function note(likeness: Likeness, pair: readonly [string, string]): void {
  likeness.count++;
  likeness.example ??= pair;
}

/** @returns positions of the measured images that are no file of training */
function compareFiles(training: PixelStore, measured: PixelStore, { sameFile }: Overlap): number[] {
  const known = new Map(training.fileHashes.map((hash, i) => [hash, i]));
  const rest: number[] = [];
  for (let i = 0; i < measured.count; i++) {
    const like = known.get(measured.fileHashes[i]!);
    if (like === undefined) rest.push(i);
    else note(sameFile, [measured.names[i]!, training.names[like]!]);
  }
  return rest;
}

interface Thumbnail {
  cells: Float32Array;
  mean: number;
  /** Standard deviation over the cells of a channel: a plain sea has none, however blue it is. */
  contrast: number;
}

async function thumbnailsOf(store: PixelStore, signal: AbortSignal | undefined): Promise<Thumbnail[]> {
  const thumbnails: Thumbnail[] = [];
  const recordBytes = 3 * pixelsOf(store.size);
  for (let from = 0; from < store.count; from += IMAGES_AT_ONCE) {
    signal?.throwIfAborted();
    const count = Math.min(IMAGES_AT_ONCE, store.count - from);
    const bytes = await store.read(Array.from({ length: count }, (_, i) => from + i));
    for (let i = 0; i < count; i++) {
      thumbnails.push(thumbnailOf(bytes.subarray(i * recordBytes, (i + 1) * recordBytes), store.size));
    }
  }
  return thumbnails;
}

/** Means over the cells of a grid. @param planar bytes [3, height, width] */
function thumbnailOf(planar: Uint8Array, size: ImageSize): Thumbnail {
  const cells = new Float32Array(CELLS);
  const counts = new Uint32Array(CELLS);
  const [height, width] = sidesOf(size);
  const cellsOf = (side: number) => Uint8Array.from({ length: side }, (_, x) => Math.floor((x * SIDE) / side));
  const [rowOf, columnOf] = [cellsOf(height), cellsOf(width)];
  for (let c = 0, at = 0; c < 3; c++) {
    for (let y = 0; y < height; y++) {
      const row = (c * SIDE + rowOf[y]!) * SIDE;
      for (let x = 0; x < width; x++, at++) {
        const cell = row + columnOf[x]!;
        cells[cell]! += planar[at]!;
        counts[cell]!++;
      }
    }
  }
  let [sum, variances] = [0, 0];
  for (let c = 0; c < 3; c++) {
    const channel = cells.subarray(c * SIDE * SIDE, (c + 1) * SIDE * SIDE);
    channel.forEach((total, i) => {
      channel[i] = total / Math.max(1, counts[i]!);
    });
    const filled = channel.filter((_, i) => counts[i]! > 0);
    const mean = filled.reduce((total, value) => total + value, 0) / filled.length;
    variances += filled.reduce((total, value) => total + (value - mean) ** 2, 0) / filled.length;
    sum += mean;
  }
  return { cells, mean: sum / 3, contrast: Math.sqrt(variances / 3) };
}

interface Search {
  /** Positions in training by mean brightness. */
  byBrightness: readonly number[];
  known: readonly Thumbnail[];
  /** Work that may still be done. */
  cellsLeft: number;
}

/** Positions in training of what is alike. Means of alike pictures differ by no more than the pictures do. */
function alikeTo(own: Thumbnail, search: Search): number[] {
  const limit = Math.min(ALIKE_LEVELS, ALIKE_SHARE * own.contrast);
  const found: number[] = [];
  const { byBrightness, known } = search;
  let at = firstFrom(byBrightness, (i) => known[i]!.mean >= own.mean - limit);
  for (; at < byBrightness.length && search.cellsLeft > 0; at++) {
    const other = known[byBrightness[at]!]!;
    if (other.mean > own.mean + limit) break;
    let [left, cell] = [limit * limit * CELLS, 0];
    for (; cell < CELLS && left >= 0; cell++) left -= (own.cells[cell]! - other.cells[cell]!) ** 2;
    search.cellsLeft -= cell;
    if (left >= 0) found.push(byBrightness[at]!);
  }
  return found;
}

/** The first position whose element fulfils what all after it fulfil too. */
function firstFrom(sorted: readonly number[], holds: (element: number) => boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(sorted[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

async function firstEqual(store: PixelStore, candidates: readonly number[], own: Uint8Array): Promise<number | null> {
  for (const candidate of candidates) {
    const other = await store.read([candidate]);
    if (other.every((byte, i) => byte === own[i])) return candidate;
  }
  return null;
}
