/**
 * Data sets of images: opening, decoding, resizing, caching.
 */

export type { SplitOptions } from '../complete-splits.js';
export type { Dataset, ImageItem } from '../dataset.js';
export type { PixelStore } from '../pixels.js';
export { normaliseInto, preprocess, toPlanar } from '../preprocess.js';
export { type RgbImage, resizeBicubic } from '../resize.js';
export { decodeImage } from './decode.js';
export { type MemoryData, type MemoryTestData, openMemoryData, openMemoryTestData } from './memory.js';
export { openDataset } from './open.js';
export { fingerprintOf, type LoadOptions, loadPixels } from './pixels.js';
