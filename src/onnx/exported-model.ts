/** A tuned model as the ONNX graph that is exported, without its metadata. */
import { IdatError } from '../errors.js';
import type { ModelProto } from '../graph/onnx-proto.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import { IMAGES, PIXEL_VALUES, type ResizeBy } from './names.js';
import { onnxGraph } from './onnx-graph.js';
import { withImagesNamed, withPixelInput } from './pixel-input.js';

/** What is asked of the graph. */
export interface GraphPlan {
  readonly format: 'onnx' | 'transformers.js';
  readonly precision: 'float32' | 'int8';
  readonly adapterInput: boolean;
  readonly resize: ResizeBy;
}

/** Name of the graph's images. */
export const inputName = ({ format, resize }: Pick<GraphPlan, 'format' | 'resize'>): string =>
  format === 'onnx' && resize === 'caller' ? IMAGES : PIXEL_VALUES;

export interface Tuned {
  readonly layout: TrainableLayout;
  readonly parameters: Float32Array;
}

/** What the exported file computes, without its metadata. */
export function graphOf(
  model: ModelSpec,
  tuned: Tuned,
  { format, precision, adapterInput, resize }: GraphPlan,
): ModelProto {
  const graph = onnxGraph(model, { tuned: adapterInput ? null : tuned, int8: precision === 'int8' });
  const name = inputName({ format, resize });
  const { mean, std, config } = model.backbone;
  if (resize === 'graph') return withPixelInput(graph, name, { mean, std, imageSize: config.imageSize });
  return name === IMAGES ? graph : withImagesNamed(graph, name);
}

export function inputOf(plan: GraphPlan, { backbone: { config } }: ModelSpec): string {
  const head = `${inputName(plan)}: float32 [batch, ${config.channels}, height, width]`;
  if (plan.resize === 'graph') return `${head}, bytes from 0 to 255, of any size`;
  return `${head}, resized to image_size (bicubic), (byte/255 - mean)/std`;
}

/** A message of the format holds no more, and readers count its bytes in 32 bits with a sign. */
const LARGEST_BYTES = 2 ** 31 - 2 ** 20;

/** @throws IdatError `export.too-large` */
export function refuseTooLarge(name: string, bytes: number): void {
  if (bytes <= LARGEST_BYTES) return;
  const what = `${name}: ${(bytes / 1e9).toFixed(1)} GB of weights do not fit into one ONNX file, which holds 2.1`;
  throw new IdatError('export.too-large', `${what}; export it in 8 bits, or train a smaller student`);
}
