/** Opens a data set that a program holds in memory: paths, bytes of files, and pixels. */
import type { SplitOptions } from '../complete-splits.js';
import type { Dataset } from '../dataset.js';
import {
  type ImageLists,
  type OpenImage,
  readImageLists,
  readTestLists,
  sourceOfLists,
  type TestLists,
} from '../memory-dataset.js';
import { contentOf, type ImageSource, sourceProblem } from './image-source.js';

/** Labelled images in memory, to train on. Bytes and pixels are not copied, so they are to stay as they are. */
export type MemoryData = ImageLists<ImageSource>;

/** Labelled images in memory, to test on. */
export type MemoryTestData = TestLists<ImageSource>;

/**
 * Files are read when their pixels are asked for; pixels are taken as they are, whatever `orient` says.
 * @throws IdatError as `readImageLists`
 */
export const openMemoryData = (data: MemoryData, options: SplitOptions): Dataset => ({
  source: sourceOfLists(data),
  ...readImageLists(data, openImage, options),
  close: async () => {},
});

/** The same of test images alone. */
export const openMemoryTestData = (data: MemoryTestData): Dataset => ({
  source: sourceOfLists(data),
  ...readTestLists(data, openImage),
  close: async () => {},
});

const openImage: OpenImage<ImageSource> = (image, at) => {
  const problem = sourceProblem(image);
  if (problem !== null) return { problem };
  const name = typeof image === 'string' ? `${at} (${image})` : at;
  return { name, read: () => contentOf(image, name) };
};
