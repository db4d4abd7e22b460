/** What may be asked of an export. */
import { IdatError } from '../errors.js';
import type { GraphPlan } from '../onnx/exported-model.js';
import { RESIZES, type ResizeBy } from '../onnx/names.js';
import type { TestDataSource } from '../runs/data-source.js';
import type { RunControl } from '../train/progress.js';

export const EXPORT_FORMATS = ['onnx', 'transformers.js'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
export const QUANTIZATIONS = ['int8'] as const;

export interface ExportOptions extends RunControl {
  /** The folder to make. */
  out: string;
  /** One ONNX file, or a folder that `pipeline('image-classification', …)` of transformers.js loads. Default: onnx. */
  format?: ExportFormat;
  /** Products with large frozen weights in 8-bit integers: smaller and faster, not exact. Default: float32. */
  quantize?: (typeof QUANTIZATIONS)[number];
  /** Keep what was trained outside of the graph, as an input of it, in a small file of its own. Only for `onnx`. */
  adapterInput?: boolean;
  /**
   * Who resizes and normalises: the graph, which then takes pixels as they are, or whoever runs it. Default: `caller` for `onnx`,
   * `graph` for `transformers.js`, whose own resize is another one.
   */
  resize?: ResizeBy;
  /** Another data set to check on; default: validation images of the run's own. */
  data?: TestDataSource;
  /** How many images to check on, at most; default 256. */
  images?: number;
  /** Where the frozen weights are now, if not where they were in training. */
  student?: string;
}

/** What is asked for, with nothing left open. */
export interface ExportPlan extends GraphPlan {
  readonly images: number;
}

const MOST_IMAGES = 256;

/** @throws IdatError `export.option` */
export function planOf(options: ExportOptions): ExportPlan {
  const { format = 'onnx', quantize, adapterInput = false, resize, images = MOST_IMAGES } = options;
  const problem = (what: string) => new IdatError('export.option', what);
  const oneOf = (name: string, value: string, known: readonly string[]) => {
    if (!known.includes(value)) throw problem(`${name}: expected ${known.join(' or ')}, got ${JSON.stringify(value)}`);
  };
  oneOf('format', format, EXPORT_FORMATS);
  if (quantize !== undefined) oneOf('quantize', quantize, QUANTIZATIONS);
  if (resize !== undefined) oneOf('resize', resize, RESIZES);
  if (!Number.isInteger(images) || images < 1) throw problem(`images: expected a whole number from 1, got ${images}`);
  if (adapterInput && format !== 'onnx') {
    throw problem(
      'an adapter as input is for the format onnx: the pipeline of transformers.js gives a model images alone',
    );
  }
  const usual = format === 'onnx' ? 'caller' : 'graph';
  return { format, precision: quantize ?? 'float32', adapterInput, resize: resize ?? usual, images };
}
