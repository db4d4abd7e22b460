/**
 * A data set: named classes and labelled images in splits, whatever it is stored as.
 */
import type { PixelImage } from './pixel-image.js';

/** The bytes of an image's file, or its pixels where somebody has decoded it already. */
export type ImageContent = Uint8Array | PixelImage;

export interface ImageItem {
  /** Path inside the data set, for messages. */
  name: string;
  /** What the fingerprint of a split knows it by; default: its name. */
  key?: string;
  /** Index into the data set's classes. */
  label: number;
  /**
   * What there is to see.
   * @throws IdatError when it cannot be read
   */
  read(): Promise<ImageContent>;
}

/** `train`, `val` and `test` share no image; `trainval` is what a final model trains on: train and val together. */
export interface Splits {
  train: ImageItem[];
  val: ImageItem[];
  trainval: ImageItem[];
  test: ImageItem[];
}

export interface Dataset extends Splits {
  /** The path it was opened from; of one in memory, what messages call it. */
  source: string;
  kind: 'folder' | 'vtab' | 'memory';
  /** The class of label i is `classes[i]`. */
  classes: string[];
  /** One sentence on where the splits came from. */
  note: string;
  /** Closes what it is read from, such as a zip; its items cannot be read afterwards. */
  close(): Promise<void>;
}

/** What a reader of one layout finds out. */
export type Layout = Splits & Pick<Dataset, 'kind' | 'classes' | 'note'>;
