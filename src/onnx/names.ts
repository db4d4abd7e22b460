/** What exported files call their parts. */

export const IMAGES = 'images';
/** The images, where the graph resizes them or transformers.js is to load it. */
export const PIXEL_VALUES = 'pixel_values';
/** What was trained, where it is an input. */
export const PARAMETERS = 'parameters';
export const LOGITS = 'logits';
export const PROBABILITIES = 'probabilities';
/** What the head reads. */
export const FEATURES = 'features';

/** The value of the metadata's key `format`. */
export const EXPORT_FORMAT = 'idat-onnx-1';

/** Who resizes and normalises: the graph, as in training, or whoever runs it, such as a library. */
export const RESIZES = ['graph', 'caller'] as const;
export type ResizeBy = (typeof RESIZES)[number];

/** Below the exported folder, where a model lies. */
export const MODEL_FILE = 'model.onnx';
/** The same for transformers.js, by the precision the library is to ask for. */
export const MODEL_FILES = { float32: 'onnx/model.onnx', int8: 'onnx/model_quantized.onnx' } as const;
/** The file of an adapter that is an input. */
export const ADAPTER_FILE = 'adapter.safetensors';
