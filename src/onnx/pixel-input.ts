/** In front of a model: resizing and normalising, as ONNX nodes, so that whoever runs it gives pixels as they are. */
import { BATCH } from '../graph/any-batch.js';
import type { ModelProto, NodeProto, TensorProto } from '../graph/onnx-proto.js';
import { type ImageSize, sidesOf } from '../image-size.js';
import { IMAGES } from './names.js';

const ELEMENT = { float32: 1, uint8: 2 } as const;

/**
 * The model with pixels in place of its images: float32 [batch, channels, height, width] of whole numbers from 0 to 255, of
 * any size that all images of a call have in common. Resized in bytes by the kernel of Pillow's bicubic filter, widened in
 * shrinking, as the images of the training were; a byte may differ from Pillow's by one.
 *
 * @param pixels name of the input
 * @see ONNX, Resize: cubic, antialias, exclude_outside
 */
export function withPixelInput(
  model: ModelProto,
  pixels: string,
  { imageSize, mean, std }: { imageSize: ImageSize; mean: readonly number[]; std: readonly number[] },
): ModelProto {
  const perChannel = (name: string, values: readonly number[]): TensorProto => ({
    name,
    dtype: 'float32',
    shape: [1, values.length, 1, 1],
    data: bytesOf(Float32Array.from(values)),
  });
  const nodes = [
    node('Cast', [pixels], 'pixels_bytes', { to: ELEMENT.uint8 }),
    node('Resize', ['pixels_bytes', '', '', 'pixels_size'], 'pixels_resized', {
      mode: { string: 'cubic' },
      cubic_coeff_a: { float: -0.5 },
      antialias: 1,
      exclude_outside: 1,
      coordinate_transformation_mode: { string: 'half_pixel' },
      axes: [2, 3],
    }),
    node('Cast', ['pixels_resized'], 'pixels_float', { to: ELEMENT.float32 }),
    node('Mul', ['pixels_float', 'pixels_factor'], 'pixels_scaled'),
    node('Add', ['pixels_scaled', 'pixels_shift'], IMAGES),
  ];
  const size: TensorProto = {
    name: 'pixels_size',
    dtype: 'int64',
    shape: [2],
    data: bytesOf(BigInt64Array.from(sidesOf(imageSize), BigInt)),
  };
  const factors = perChannel(
    'pixels_factor',
    std.map((s) => 1 / (255 * s)),
  );
  const shifts = perChannel(
    'pixels_shift',
    mean.map((m, c) => -m / std[c]!),
  );
  return {
    ...model,
    nodes: [...nodes, ...model.nodes],
    initializers: [size, factors, shifts, ...model.initializers],
    inputs: model.inputs.map((value) =>
      value.name === IMAGES
        ? { name: pixels, dtype: 'float32', shape: [BATCH, mean.length, 'height', 'width'] }
        : value,
    ),
  };
}

/** The model with another name for its images. */
export function withImagesNamed(model: ModelProto, name: string): ModelProto {
  return {
    ...model,
    nodes: [node('Identity', [name], IMAGES), ...model.nodes],
    inputs: model.inputs.map((value) => (value.name === IMAGES ? { ...value, name } : value)),
  };
}

const node = (
  type: string,
  inputs: readonly string[],
  output: string,
  attributes: NodeProto['attributes'] = {},
): NodeProto => ({ name: output, type, inputs, outputs: [output], attributes });

const bytesOf = ({ buffer }: Float32Array | BigInt64Array): Uint8Array => new Uint8Array(buffer as ArrayBuffer);
