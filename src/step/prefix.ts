/** The frozen prefix of a model: what of it depends on the image and on frozen weights alone. */
import { streamSize } from '../backbones/architecture.js';
import { cutFrozenPrefix, FROZEN_PREFIX } from '../graph/passes/frozen-prefix.js';
import { compile } from './compile.js';
import { autoMicroBatch } from './micro-batch.js';
import { imageShape, type ModelSpec, outputsOf, type Prefix, prefixInput, traceModel } from './model.js';

/** Images in one call of a prefix: its results are kept, and should not depend on the size of a run's batches. */
const PREFIX_BATCH = 16;

/**
 * Compiles the frozen prefix of a model; null where it has none worth running apart (see graph/passes/frozen-prefix.ts).
 * @param training whether it is the prefix of a step, or of the forward pass, in which nothing is dropped
 */
export function buildPrefix(model: ModelSpec, disable: readonly string[] = [], training = true): Prefix | null {
  if (disable.includes(FROZEN_PREFIX)) return null;
  const batch = autoMicroBatch(PREFIX_BATCH, streamSize(model.backbone.config));
  const traced = traceModel(model, { role: '', batch, training, disable });
  const cut = cutFrozenPrefix(outputsOf(traced), traced.images, prefixInput);
  if (!cut) return null;
  const tensors = cut.boundary.map((t, i) => ({ name: prefixInput(i), shape: imageShape(t, batch) }));
  const outputs = Object.fromEntries(cut.boundary.map((t, i) => [prefixInput(i), t]));
  return { compile: (sink) => compile(outputs, [], { disable, sink }), batch, tensors };
}
