/**
 * What a model reads for each image of a split: its pixels, or what its frozen prefix makes of them.
 */
import { normaliseInto, type PixelStore } from '../data/index.js';
import type { ImageChange } from './augment.js';
import type { ModelSpec } from './model.js';

/** A split as one model reads it. */
export interface ModelInputs {
  /** Images. */
  readonly count: number;
  readonly labels: Int32Array;
  /**
   * Fetches what belongs to these images.
   * @param change makes each image another; only where pixels are read, which no frozen prefix stands for
   */
  read(indices: readonly number[], change?: ImageChange | null): Promise<BatchInputs>;
  /** Does what can be done once and for all for these images, where there is such a thing. */
  prepare?(indices: readonly number[]): Promise<void>;
}

/** What a model reads for a batch of images. */
export interface BatchInputs {
  /** The graph's inputs by name, without the role, for the images at these positions of the batch: each [positions, …]. */
  at(positions: readonly number[]): Record<string, Float32Array>;
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
    async read(indices, change) {
      const planar = await store.read(indices);
      const length = planar.length / indices.length;
      if (change) changeImages(planar, length, indices, change);
      return {
        at(positions) {
          const images = new Float32Array(positions.length * length);
          positions.forEach((position, i) => {
            const image = planar.subarray(position * length, (position + 1) * length);
            normaliseInto(image, mean, std, images, i * length);
          });
          return { images };
        },
      };
    },
  };
}

function changeImages(planar: Uint8Array, length: number, indices: readonly number[], change: ImageChange): void {
  indices.forEach((index, i) => {
    planar.set(change(planar.subarray(i * length, (i + 1) * length), index), i * length);
  });
}
