/**
 * Pretraining: a ViT of any size from random weights, by the loop that fine-tunes.
 */
import { type PretrainInput, toFineTune } from '../settings/pretrain.js';
import type { FineTuneControl, FineTuneResult } from './fine-tune.js';
import { fineTune } from './fine-tune.js';

/**
 * Trains a ViT from random weights on all training images of a data set and measures it on the test images. The run
 * directory is that of any run, so it is resumed, evaluated and predicted with alike; at its end it holds
 * `model.safetensors`, which is fine-tuned by its path, and `model-card.md`.
 *
 * @throws IdatError as `fineTune`
 */
export async function pretrain(input: PretrainInput, control: FineTuneControl = {}): Promise<FineTuneResult> {
  return fineTune(toFineTune(input), control);
}
