import type { PixelStore } from '../data/pixels.js';
import { type ImageSize, pixelsOf } from '../image-size.js';
import type { ModelSpec } from '../step/model.js';
import type { Pair } from '../step/roles.js';
import { pixelInputs, type SplitInputs } from '../train/inputs.js';

/** Images of noise at each model's size, in memory. */
export function syntheticInputs({ student, teacher }: Pair<ModelSpec>, count: number, classes: number): SplitInputs {
  const store = (size: ImageSize): PixelStore => {
    const length = 3 * pixelsOf(size);
    const noise = Uint8Array.from({ length }, (_, i) => (i * 7919) % 256);
    return {
      count,
      size,
      labels: Int32Array.from({ length: count }, (_, i) => i % classes),
      names: Array.from({ length: count }, (_, i) => `noise ${i}`),
      keys: [],
      fileHashes: [],
      skipped: [],
      fingerprint: 'noise',
      pixelsKey: 'noise',
      fromCache: false,
      cacheProblem: null,
      read: async (indices) => {
        const images = new Uint8Array(indices.length * length);
        for (let i = 0; i < indices.length; i++) images.set(noise, i * length);
        return images;
      },
      close: async () => {},
    };
  };
  return {
    student: pixelInputs(store(student.backbone.config.imageSize), student),
    teacher: teacher && pixelInputs(store(teacher.backbone.config.imageSize), teacher),
  };
}
