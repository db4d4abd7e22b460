/** Exported models in a runtime: what Node and a tab answer with alike. */
import { IdatError } from '../errors.js';
import type { Program } from '../graph/emit.js';
import { pixelsOf, sidesOf } from '../image-size.js';
import type { AboutExport } from '../onnx/about.js';
import { FEATURES, LOGITS, PARAMETERS } from '../onnx/names.js';
import type { Runtime } from '../runtime/runtime.js';
import { type Adapter, classesOf, fitAdapter, type InUse } from './adapter.js';
import type { ClassifierParts } from './classifier.js';

/** What the images of one call hold together, at most: eight of 224 × 224, and of small ones 64. */
const PIXELS_AT_ONCE = 8 * 224 * 224;
const IMAGES_AT_ONCE = 64;

/** Of a model whose memory is planned: what is put aside and freed for each operation is a tenth of its time. */
const SMALL_BYTES = 32 * 2 ** 20;

/** How an exported model is run. */
export type ExportedParts = Pick<
  ClassifierParts<never, never>,
  'imageSize' | 'mean' | 'std' | 'takesPixels' | 'largest' | 'first' | 'shape' | 'run'
>;

/**
 * @param name what messages call it
 * @param adapter for a model that has what was trained as an input
 * @throws IdatError `classifier.adapter`, `runtime.load`; its `run` `onnx.metadata` where the model answers for more or fewer classes
 */
export async function loadExport(
  runtime: Pick<Runtime, 'load'>,
  { bytes, name, about, adapter }: { bytes: Uint8Array; name: string; about: AboutExport; adapter: Adapter | null },
): Promise<ExportedParts> {
  const first = firstInUse(about, adapter, name);
  const { input, imageSize, mean, hasFeatures, precision } = about;
  const [height, width] = sidesOf(imageSize);
  const float = (shape: readonly number[]) => ({ shape, dtype: 'float32' as const });
  const program: Program = {
    model: bytes,
    files: [],
    inputs: {
      [input]: float([1, mean.length, height, width]),
      ...(first.parameters && { [PARAMETERS]: float([first.parameters.length]) }),
    },
    outputs: {
      [LOGITS]: float([1, first.classes.length]),
      ...(hasFeatures && { [FEATURES]: float([1, 0]) }),
    },
    planned: bytes.length <= SMALL_BYTES,
    flops: 0,
    activationBytes: 0,
    weightBytes: 0,
  };
  const answers = about.shape ? classesOf(about.shape.layout) : first.classes.length;
  const session = await runtime.load(() => program);
  // in 8 bits an image's last digits would depend on those it shares a call with
  const together = Math.max(1, Math.min(IMAGES_AT_ONCE, Math.floor(PIXELS_AT_ONCE / pixelsOf(imageSize))));
  return {
    ...about,
    largest: precision === 'int8' ? 1 : together,
    first,
    run: async (images, count, { features, parameters, check }) => {
      if (features && !hasFeatures) {
        const what = 'was exported by a version of idat that left out what the head reads';
        throw new IdatError('classifier.features', `${name}: ${what}; export the run again`);
      }
      check();
      const feeds = { [input]: images, ...(parameters && { [PARAMETERS]: parameters }) };
      const outputs = await session.run(feeds, { [input]: [count, mean.length, height, width] });
      const values = outputs[features ? FEATURES : LOGITS]!;
      const row = values.length / count;
      if (!features && row !== answers) {
        const what = `its metadata know of ${answers} classes, and the model answers for ${row}`;
        throw new IdatError('onnx.metadata', `${name}: ${what}; export it again`);
      }
      return Array.from({ length: count }, (_, i) => values.slice(i * row, (i + 1) * row));
    },
  };
}

function firstInUse({ shape, knowledge }: AboutExport, adapter: Adapter | null, name: string): InUse {
  if (shape === null) {
    if (adapter !== null) {
      const what = 'what was trained is part of this model, so that no adapter can take its place';
      throw new IdatError('classifier.adapter', `${name}: ${what}; export it with its adapter as an input`);
    }
    return { ...knowledge!, parameters: null, head: null };
  }
  if (adapter === null) {
    const what = 'needs an adapter, and there is no adapter.safetensors beside it';
    throw new IdatError('classifier.adapter', `${name}: ${what}; name one`);
  }
  return fitAdapter(shape, adapter);
}
