/**
 * What pretraining hands out: a checkpoint that can be fine-tuned like any other.
 */

import { join } from 'node:path';
import { checkpointMetadata } from '../backbones/checkpoints/metadata.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { encodeSafetensors } from '../files/safetensors.js';
import { type CardFacts, cardPath, modelCard } from '../report/model-card.js';
import type { TunedModel } from '../step/model.js';

/** Where a pretraining run leaves its model; its card lies beside it. */
const MODEL_FILE = 'model.safetensors';

/**
 * Writes a model trained from random weights, head included, in timm's naming, with its sizes and normalisation in the
 * file's metadata: `--student DIR/model.safetensors` needs nothing else. Its card goes beside it.
 */
export async function writeModel(
  dir: string,
  { spec, layout }: TunedModel,
  parameters: Float32Array,
  facts: Pick<CardFacts, 'record' | 'classes' | 'result' | 'metrics'>,
): Promise<void> {
  const { accuracy, selectedEpoch } = facts.result;
  const [, tag = ''] = spec.backbone.name.split('.');
  const trained = `${selectedEpoch + 1} epochs from random weights, test top-1 ${accuracy}`;
  const metadata = checkpointMetadata(spec.backbone, { classes: spec.classes, tag, trained });
  const tensors = layout.slots.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: parameters.subarray(offset, offset + size),
  }));
  const path = join(dir, MODEL_FILE);
  const card = modelCard({ ...facts, backbone: spec.backbone, file: MODEL_FILE, parameters: layout.size });
  await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
  await writeFileAtomic(cardPath(path), card);
}
