/**
 * What a model reads for each image of a split: its pixels, or what its frozen prefix makes of them.
 */
import type { ImageChange } from '../data/augment.js';
import type { PixelStore } from '../data/pixels.js';
import { normaliseInto } from '../data/preprocess.js';
import type { ModelSpec } from '../step/model.js';

/** A split as one model reads it. */
export interface ModelInputs {
  /** Images. */
  readonly count: number;
  readonly labels: Int32Array;
  /**
   * What the graph reads for these images, by name without the role: each [images, …]. An image may come twice.
   * @param change makes each image another; where a frozen prefix stands for the pixels, by mirroring alone
   * @param copies how often each has come in this epoch before; default: none has
   */
  read(
    indices: readonly number[],
    change?: ImageChange | null,
    copies?: readonly number[] | null,
  ): Promise<Record<string, Float32Array>>;
  /** Does what can be done once and for all for these images, where there is such a thing. */
  prepare?(indices: readonly number[]): Promise<void>;
}

/** A split as both models read it: the same images in the same order. */
export interface SplitInputs {
  readonly student: ModelInputs;
  readonly teacher: ModelInputs | null;
}

/** Images normalised as the model's weights were trained: input `images` [n, 3, S, S]. */
export function pixelInputs(store: PixelStore, { backbone: { mean, std } }: Pick<ModelSpec, 'backbone'>): ModelInputs {
  return {
    count: store.count,
    labels: store.labels,
    async read(indices, change, copies) {
      const planar = await store.read(indices);
      const images = new Float32Array(planar.length);
      const length = planar.length / indices.length;
      indices.forEach((index, i) => {
        const image = planar.subarray(i * length, (i + 1) * length);
        normaliseInto(change ? change.look(image, index, copies?.[i]) : image, mean, std, images, i * length);
      });
      return { images };
    },
  };
}
