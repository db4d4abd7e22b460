/**
 * A data set: named classes and labelled images in splits, whatever it is stored as.
 */

export interface ImageItem {
  /** Path inside the data set, for messages. */
  name: string;
  /** Index into the data set's classes. */
  label: number;
  /**
   * The file's bytes.
   * @throws IdatError when it cannot be read
   */
  read(): Promise<Uint8Array>;
}

/** `train`, `val` and `test` share no image; `trainval` is what a final model trains on: train and val together. */
export interface Splits {
  train: ImageItem[];
  val: ImageItem[];
  trainval: ImageItem[];
  test: ImageItem[];
}

export interface Dataset extends Splits {
  /** The path it was opened from. */
  source: string;
  kind: 'folder' | 'vtab';
  /** The class of label i is `classes[i]`. */
  classes: string[];
  /** One sentence on where the splits came from. */
  note: string;
  /** Closes the zip, if it is one; its items cannot be read afterwards. */
  close(): Promise<void>;
}

/** What a reader of one layout finds out. */
export type Layout = Splits & Pick<Dataset, 'kind' | 'classes' | 'note'>;
