/** The files that transformers.js wants to find beside a model. */
import type { Backbone } from '../backbones/backbone.js';
import { sidesOf } from '../image-size.js';
import type { ResizeBy } from '../onnx/names.js';
import { LIBRARY_FILTER } from './library-resize.js';

/** What the library calls the precisions. */
const DTYPES = { float32: 'fp32', int8: 'q8' } as const;

/**
 * config.json and preprocessor_config.json.
 * @param classes their names, in the order of the logits
 */
export function libraryConfigs(
  { config, mean, std }: Backbone,
  { classes, precision, resize }: { classes: readonly string[]; precision: 'float32' | 'int8'; resize: ResizeBy },
): Record<string, unknown> {
  const [height, width] = sidesOf(config.imageSize);
  const architecture = config.family === 'swin' ? 'Swin' : 'ViT';
  const inGraph = resize === 'graph';
  return {
    'config.json': {
      model_type: config.family,
      architectures: [`${architecture}ForImageClassification`],
      num_labels: classes.length,
      id2label: Object.fromEntries(classes.map((name, i) => [`${i}`, name])),
      label2id: Object.fromEntries(classes.map((name, i) => [name, i])),
      image_size: height === width ? height : [height, width],
      patch_size: config.patchSize,
      num_channels: config.channels,
      // what is there; without it a tab asks for the other
      'transformers.js_config': { dtype: DTYPES[precision] },
    },
    'preprocessor_config.json': {
      image_processor_type: 'ViTImageProcessor',
      do_convert_rgb: true,
      do_resize: !inGraph,
      do_rescale: !inGraph,
      do_normalize: !inGraph,
      ...(!inGraph && { resample: LIBRARY_FILTER, rescale_factor: 1 / 255, image_mean: mean, image_std: std }),
      size: { height, width },
    },
  };
}
