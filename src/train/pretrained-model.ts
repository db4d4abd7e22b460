/**
 * What pretraining hands out: a checkpoint that can be fine-tuned like any other.
 */

import { join } from 'node:path';
import { checkpointMetadata } from '../backbones/checkpoints/metadata.js';
import { writeFileAtomic } from '../files/atomic-write.js';
import { encodeSafetensors } from '../files/safetensors.js';
import { type CardFacts, modelCard } from './model-card.js';

/** Where a pretraining run leaves its model and what there is to say about it. */
export const MODEL_FILE = 'model.safetensors';
export const CARD_FILE = 'model-card.md';

/**
 * Writes a model trained from random weights, head included, in timm's naming, with its sizes and normalisation in the
 * file's metadata: `--student DIR/model.safetensors` needs nothing else. Its card goes beside it.
 */
export async function writeModel(dir: string, parameters: Float32Array, facts: CardFacts): Promise<void> {
  const { spec, layout } = facts.model;
  const { accuracy, selectedEpoch } = facts.result;
  const [, tag = ''] = spec.backbone.name.split('.');
  const trained = `${selectedEpoch + 1} epochs from random weights, test top-1 ${accuracy}`;
  const metadata = checkpointMetadata(spec.backbone, { classes: spec.classes, tag, trained });
  const tensors = layout.slots.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: parameters.subarray(offset, offset + size),
  }));
  await writeFileAtomic(join(dir, MODEL_FILE), encodeSafetensors(tensors, metadata));
  await writeFileAtomic(join(dir, CARD_FILE), modelCard(facts));
}
