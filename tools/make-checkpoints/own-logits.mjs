/** What a checkpoint answers with its own head, through the engine that training uses. */

import { imagesShape, tensorShapes, traceBackbone } from '../../dist/backbones/architecture.js';
import { backboneFromFile } from '../../dist/backbones/node/checkpoint.js';
import { openCheckpoint } from '../../dist/backbones/node/open.js';
import { emit } from '../../dist/graph/emit.js';
import { input, linear } from '../../dist/graph/ops/index.js';
import { startRuntime } from '../../dist/runtime/node/start.js';

/**
 * @param path a checkpoint; one without a head answers with its features
 * @param of `features`: so does one with a head
 * @returns logits (batch rows, joined) of the images sin(0.37·i + 1), the time to open, and the share of weights that had to
 *   be computed because they do not lie in the file as they are needed
 */
export async function ownLogits(path, imageSize, batch, of) {
  const started = performance.now();
  const { config, weights } = await backboneFromFile(path, { config: { imageSize } });
  const openedInMs = performance.now() - started;
  const { tensors } = await openCheckpoint(path);
  const images = input('images', imagesShape(config, batch));
  const weight = (name, shape) => weights.constant(name, shape);
  const features = traceBackbone(config, weight, {}, { images, dropPath: null });
  const head = of === 'features' ? undefined : tensors.get('head.weight');
  const logits = head
    ? linear(features, weight('head.weight', head.shape), weight('head.bias', [head.shape[0]]))
    : features;
  const runtime = await startRuntime({ device: 'cpu' });
  try {
    const session = await runtime.load((sink) => emit({ logits }, sink));
    const numbers = Float32Array.from({ length: images.shape.reduce((a, b) => a * b) }, (_, i) =>
      Math.sin(0.37 * i + 1),
    );
    return {
      logits: (await session.run({ images: numbers })).logits,
      openedInMs,
      computedShare: share(tensors, config),
    };
  } finally {
    await runtime.close();
  }
}

function share(tensors, config) {
  let [all, computed] = [0, 0];
  for (const [name, shape] of tensorShapes(config)) {
    const numbers = shape.reduce((a, b) => a * b, 1);
    all += numbers;
    if (!tensors.get(name).place) computed += numbers;
  }
  return computed / all;
}
